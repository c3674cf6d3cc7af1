package main

import (
	"context"
	"sync"
)

// Starts of goroutines that nothing can ever wake.
var leaks = []func(){
	func() { // a channel nobody else has
		c := make(chan int)
		spawn(func() { leakedReceive(c) })
	},
	func() { // a sender whose receiver gave up
		c := make(chan *payload)
		spawn(func() { leakedSend(c) })
	},
	func() { // a worker pool whose channel was forgotten
		jobs := make(chan func(), 8)
		for i := 0; i < 5; i++ {
			spawn(func() { leakedWorker(jobs) })
		}
	},
	func() {
		a, b := make(chan int), make(chan string, 1)
		spawn(func() { leakedSelect(a, b) })
	},
	func() { // a context whose cancel function was thrown away
		ctx, cancel := context.WithCancel(context.Background())
		_ = cancel
		spawn(func() { leakedContext(ctx) })
	},
	func() { // and its child
		ctx, cancel := context.WithCancel(context.Background())
		_ = cancel
		child, cancel2 := context.WithCancel(ctx)
		_ = cancel2
		spawn(func() { leakedContextChild(child) })
	},
	func() {
		group := new(sync.WaitGroup)
		group.Add(1)
		spawn(func() { leakedWaitGroup(group) })
	},
	func() {
		lock := new(sync.Mutex)
		lock.Lock()
		spawn(func() { leakedMutex(lock) })
		spawn(func() { leakedMutex(lock) })
	},
	func() {
		lock := new(sync.RWMutex)
		lock.Lock()
		spawn(func() { leakedRLock(lock) })
	},
	func() { // a lock inside of a larger object, taken in the wrong order by two
		pair := &pair{}
		var first sync.WaitGroup
		first.Add(2)
		spawn(func() { leakedOrder(&pair.a, &pair.b, &first) })
		spawn(func() { leakedOrder(&pair.b, &pair.a, &first) })
		first.Wait()
	},
	func() {
		cond := sync.NewCond(new(sync.Mutex))
		spawn(func() { leakedCond(cond) })
		spawn(func() { leakedCond(cond) })
	},
	func() { // each holds what another waits for
		a, b, c := make(chan int), make(chan int), make(chan int)
		spawn(func() { leakedRing(a, b) })
		spawn(func() { leakedRing(b, c) })
		spawn(func() { leakedRing(c, a) })
	},
	func() { // the last of a chain is leaked, so all are
		previous := make(chan int)
		for i := 0; i < 10; i++ {
			next, from := make(chan int), previous
			spawn(func() { leakedChain(from, next) })
			previous = next
		}
	},
	func() { spawn(leakedNilReceive) },
	func() { spawn(leakedNilSend) },
	func() { spawn(leakedEmptySelect) },
	func() { // a generator whose consumer stopped
		out := make(chan int)
		spawn(func() { leakedGenerator(out) })
		<-out
		<-out
	},
	func() { spawn(leakedTwice) },
	func() { // a deferred call holds the channel, too
		c := make(chan int)
		spawn(func() { leakedDeferred(c) })
	},
	func() { // in a map that only the goroutine itself has
		m := map[string]chan int{"x": make(chan int)}
		spawn(func() { leakedOwnMap(m) })
	},
}

type pair struct {
	name string
	a    sync.Mutex
	b    sync.Mutex
}

//go:noinline
func leakedReceive(c chan int) { parked.Done(); <-c }

//go:noinline
func leakedSend(c chan *payload) { parked.Done(); c <- &payload{name: "answer"} }

//go:noinline
func leakedWorker(jobs chan func()) {
	parked.Done()
	for job := range jobs {
		job()
	}
}

//go:noinline
func leakedSelect(a chan int, b chan string) {
	parked.Done()
	select {
	case <-a:
	case <-b:
	}
}

//go:noinline
func leakedContext(ctx context.Context) { parked.Done(); <-ctx.Done() }

//go:noinline
func leakedContextChild(ctx context.Context) { parked.Done(); <-ctx.Done() }

//go:noinline
func leakedWaitGroup(group *sync.WaitGroup) { parked.Done(); group.Wait() }

//go:noinline
func leakedMutex(lock *sync.Mutex) { parked.Done(); lock.Lock() }

//go:noinline
func leakedRLock(lock *sync.RWMutex) { parked.Done(); lock.RLock() }

//go:noinline
func leakedOrder(one, other *sync.Mutex, both *sync.WaitGroup) {
	one.Lock()
	both.Done()
	both.Wait()
	parked.Done()
	other.Lock()
}

//go:noinline
func leakedCond(cond *sync.Cond) {
	cond.L.Lock()
	parked.Done()
	cond.Wait()
}

//go:noinline
func leakedRing(from, to chan int) { parked.Done(); to <- <-from }

//go:noinline
func leakedChain(from, to chan int) { parked.Done(); to <- <-from }

//go:noinline
func leakedNilReceive() {
	var c chan int
	parked.Done()
	<-c
}

//go:noinline
func leakedNilSend() {
	var c chan int
	parked.Done()
	c <- 1
}

//go:noinline
func leakedEmptySelect() { parked.Done(); select {} }

//go:noinline
func leakedGenerator(out chan int) {
	parked.Done()
	for i := 0; ; i++ {
		out <- i
	}
}

//go:noinline
func leakedTwice() {
	var both pair
	both.a.Lock()
	parked.Done()
	both.a.Lock()
	both.a.Unlock()
}

//go:noinline
func leakedDeferred(c chan int) {
	for i := 0; i < 2; i++ {
		defer close(c)
	}
	parked.Done()
	<-c
}

//go:noinline
func leakedOwnMap(m map[string]chan int) { parked.Done(); <-m["x"] }
