//go:build go1.23

package main

import "iter"

// A coroutine: blocked in iter.Pull's switch while its consumer is elsewhere.
func parkCoroutine() {
	next, _ := iter.Pull(func(yield func(int) bool) {
		for yield(1) {
		}
	})
	next()
	nexts = append(nexts, next)
	blocked, _ := iter.Pull(func(yield func(int) bool) { <-neverSent })
	go blocked()
}

var nexts []func() (int, bool)
