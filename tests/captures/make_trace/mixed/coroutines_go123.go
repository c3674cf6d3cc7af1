//go:build go1.23

package main

import (
	"iter"
	"time"
)

func init() {
	coroutines = append(coroutines, func(stop <-chan struct{}) {
		for {
			select {
			case <-stop:
				return
			default:
			}
			next, end := iter.Pull(func(yield func(int) bool) {
				for i := 0; i < 8 && yield(i); i++ {
				}
			})
			for i := 0; i < 20; i++ {
				if _, more := next(); !more {
					break
				}
			}
			end()
			time.Sleep(100 * time.Microsecond)
		}
	})
}
