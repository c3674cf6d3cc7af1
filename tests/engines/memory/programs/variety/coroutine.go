//go:build go1.23

package main

import "iter"

func init() {
	more = append(more, func() {
		go func() {
			next, _ := iter.Pull(func(yield func(int) bool) {
				for yield(1) {
				}
			})
			next()
			next()
			<-parked
		}()
		go func() {
			next, _ := iter.Pull(func(yield func(int) bool) { <-parked })
			next()
		}()
	})
}
