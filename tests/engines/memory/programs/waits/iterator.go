//go:build go1.23

package main

import (
	"iter"
	"time"
)

// liveIter pulls from a sequence, which is a goroutine parked as a coroutine, that has what another waits for.
func liveIter() {
	c := make(chan int)
	next, _ := iter.Pull(func(yield func(int) bool) {
		yield(1)
		c <- 1
		yield(2)
	})
	next()
	spawn(func() { liveReceive(c) })
	time.Sleep(hour)
	next()
}
