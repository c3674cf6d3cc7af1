package main

import (
	"runtime"
	"time"
)

type tree[K comparable, V any] struct{ key K }

func (t *tree[K, V]) walk(visit func(K) V) V { return visit(t.key) }

//go:noinline
func genericWait[T any](from chan T) T { return <-from }

func genericInlined[T any](from chan T) T { return <-from }

type waiter interface{ wait(n int) }

type byValue struct{ from chan int }

//go:noinline
func (w byValue) wait(n int) {
	if n > 0 {
		w.wait(n - 1)
		return
	}
	<-w.from
}

type embeds struct{ waiter }

func inlineOuter(from chan int) int  { return inlineMiddle(from) + 1 }
func inlineMiddle(from chan int) int { return inlineInner(from) * 2 }
func inlineInner(from chan int) int  { return <-from - 1 }

//go:noinline
func recurse(n int) int {
	if n == 0 {
		return <-neverSent
	}
	return recurse(n-1) + 1
}

//go:noinline
func ping(n int) int {
	if n == 0 {
		return inlineOuter(neverSent)
	}
	return pong(n - 1)
}

func pong(n int) int { return ping(n) + 1 }

//go:noinline
func manyArguments(a, b, c, d, e, f, g, h, i, j, k, l int, s []string, m map[string]int) int {
	return a + b + c + d + e + f + g + h + i + j + k + l + len(s) + len(m) + <-neverSent
}

//go:noinline
func panicBelow() {
	defer func() { <-neverSent }()
	var pointer *byValue
	pointer.wait(1)
}

func spawn(depth int) {
	if depth == 0 {
		<-neverSent
		return
	}
	go spawn(depth - 1)
	time.Sleep(time.Hour)
}

func parkShapes() {
	go func() { genericWait(neverSent) }()
	go func() { genericWait(neverClosed) }()
	go func() { genericInlined(neverSent) }()
	go func() { (&tree[string, int]{"k"}).walk(func(string) int { return <-neverSent }) }()
	go inlineOuter(neverSent)
	go recurse(5)
	go recurse(120)
	go recurse(99) // 100 frames and the goroutine's own: nearly, but not, elided
	go ping(3)
	go manyArguments(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, []string{"a"}, nil)
	go panicBelow()
	go func() {
		defer func() { recover(); <-neverSent }()
		panic("recovered")
	}()
	var w waiter = byValue{neverSent}
	go w.wait(2)
	go embeds{w}.wait(1)
	method := w.wait
	go method(0)
	go func() { func() { func() { <-neverSent }() }() }()
	go spawn(3)

	finalized := new([64]byte)
	runtime.SetFinalizer(finalized, func(*[64]byte) { <-neverSent })
	finalized = nil
	go func() {
		for { // never parked: runs, or waits for a CPU
			runtime.Gosched()
		}
	}()
}
