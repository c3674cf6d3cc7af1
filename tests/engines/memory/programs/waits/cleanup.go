//go:build go1.24

package main

import (
	"runtime"
	"weak"
)

var weakHolder weak.Pointer[holder]

func init() {
	lives = append(lives,
		func() { // by a cleanup
			c := make(chan int)
			h := &holder{n: 3}
			keep = append(keep, h)
			runtime.AddCleanup(h, func(c chan int) { c <- 1 }, c)
			spawn(func() { liveReceive(c) })
		},
		func() { // by a weak pointer to what the waiting goroutine itself keeps
			h := &holder{c: make(chan int)}
			weakHolder = weak.Make(h)
			spawn(func() { liveWeak(h) })
		},
	)
}

//go:noinline
func liveWeak(h *holder) {
	parked.Done()
	<-h.c
	h.n++
}
