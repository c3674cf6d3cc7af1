package main

import (
	"container/list"
	"context"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const hour = time.Hour

var (
	globalChannel = make(chan int)
	globalMap     = map[string]chan int{}
	globalSyncMap sync.Map
	globalList    list.List
	globalAny     any
	globalFunc    func()
	globalGroup   sync.WaitGroup
	globalMutex   sync.Mutex
	globalCancel  context.CancelFunc
	globalPointer atomic.Pointer[holder]
	globalInner   *int
	globalPool    = sync.Pool{}
)

type holder struct {
	pad  [5]int
	c    chan int
	lock sync.Mutex
	cond *sync.Cond
	wait sync.WaitGroup
	n    int
}

// Starts of goroutines that something that lives can wake.
var lives = []func(){
	func() { spawn(func() { liveReceive(globalChannel) }) },
	func() { c := make(chan int); globalMap["x"] = c; spawn(func() { liveReceive(c) }) },
	func() { c := make(chan int); globalSyncMap.Store("k", c); spawn(func() { liveReceive(c) }) },
	func() { c := make(chan int); globalList.PushBack(&holder{c: c}); spawn(func() { liveReceive(c) }) },
	func() { c := make(chan int); globalAny = &c; spawn(func() { liveReceive(c) }) },
	func() { c := make(chan int); globalFunc = func() { c <- 1 }; spawn(func() { liveReceive(c) }) },
	func() { c := make(chan int); globalPointer.Store(&holder{c: c}); spawn(func() { liveReceive(c) }) },
	func() { // only by a pointer into the middle of the object
		h := &holder{c: make(chan int)}
		globalInner = &h.n
		spawn(func() { liveMutex(h) })
	},
	func() { // by a goroutine that sleeps
		c := make(chan int)
		spawn(func() { parked.Done(); time.Sleep(hour); c <- 1 })
		spawn(func() { liveReceive(c) })
	},
	func() { // by a timer's function
		c := make(chan int)
		time.AfterFunc(hour, func() { c <- 1 })
		spawn(func() { liveReceive(c) })
	},
	func() { // by a timer itself
		spawn(func() { liveTimer(time.NewTimer(hour).C) })
	},
	func() { spawn(func() { liveTimer(time.NewTicker(hour).C) }) },
	func() { spawn(func() { liveTicker(time.NewTicker(5 * time.Millisecond)) }) },
	func() { // by a timer as one of several
		c := make(chan int)
		spawn(func() {
			parked.Done()
			liveSelectTimer(c)
		})
	},
	func() { // by a finalizer
		c := make(chan int)
		h := &holder{n: 7}
		keep = append(keep, h)
		runtime.SetFinalizer(h, func(*holder) { c <- 1 })
		spawn(func() { liveReceive(c) })
	},
	func() { // by what an object with a finalizer holds
		h := &holder{c: make(chan int)}
		c := h.c
		h.cond = nil
		runtime.SetFinalizer(h, finalizeHolder)
		self := &h
		keep = append(keep, h)
		_ = self
		spawn(func() { liveReceive(c) })
	},
	func() { // a finalizer that runs, and never ends
		c := make(chan int)
		h := &holder{c: make(chan int)}
		runtime.SetFinalizer(h, func(*holder) { time.Sleep(hour); c <- 1 })
		spawn(func() { liveReceive(c) })
	},
	func() { // finalizers in a queue, behind the one that never ends
		for i := 0; i < 300; i++ {
			h := &holder{c: make(chan int)}
			c := h.c
			runtime.SetFinalizer(h, finalizeHolder)
			if i%100 == 50 {
				spawn(func() { liveReceive(c) })
			}
		}
	},
	func() { // a context somebody can cancel
		ctx, cancel := context.WithCancel(context.Background())
		globalCancel = cancel
		spawn(func() { liveContext(ctx) })
	},
	func() { // a child of one somebody can cancel
		ctx, cancel := context.WithCancel(context.Background())
		keepFuncs = append(keepFuncs, cancel)
		child, cancel2 := context.WithCancel(ctx)
		_ = cancel2
		spawn(func() { liveContext(child) })
	},
	func() { // one that ends by itself
		ctx, cancel := context.WithTimeout(context.Background(), hour)
		_ = cancel
		child, cancel2 := context.WithCancel(context.WithValue(ctx, "k", "v"))
		_ = cancel2
		spawn(func() { liveContext(child) })
	},
	func() { // one that ends with a signal
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGUSR1)
		_ = stop
		spawn(func() { liveContext(ctx) })
	},
	func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR2)
		spawn(func() { liveSignal(c) })
	},
	func() { globalGroup.Add(1); spawn(func() { liveGroup(&globalGroup) }) },
	func() { // a WaitGroup that a sleeper will be done with
		var group sync.WaitGroup
		group.Add(1)
		spawn(func() { parked.Done(); time.Sleep(hour); group.Done() })
		spawn(func() { liveGroup(&group) })
	},
	func() { globalMutex.Lock(); spawn(func() { liveLock(&globalMutex) }) },
	func() { // a mutex held by a sleeper
		lock := new(sync.RWMutex)
		held := make(chan int)
		spawn(func() { lock.Lock(); parked.Done(); close(held); time.Sleep(hour); lock.Unlock() })
		<-held
		spawn(func() { liveRLock(lock) })
	},
	func() { // a cond that a sleeper will signal
		cond := sync.NewCond(new(sync.Mutex))
		spawn(func() { parked.Done(); time.Sleep(hour); cond.Broadcast() })
		spawn(func() { liveCond(cond) })
	},
	func() { // a cond inside of an object that somebody has
		h := &holder{}
		h.cond = sync.NewCond(&h.lock)
		keep = append(keep, h)
		spawn(func() { liveCond(h.cond) })
	},
	func() { // a chain whose far end is alive
		previous := globalChannel
		for i := 0; i < 10; i++ {
			next, from := make(chan int), previous
			spawn(func() { liveChain(from, next) })
			previous = next
		}
	},
	func() { // a pool that is idle, with work that comes from a connection
		jobs := make(chan net.Conn)
		for i := 0; i < 4; i++ {
			spawn(func() { liveWorker(jobs) })
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		spawn(func() { parked.Done(); acceptLoop(listener, jobs) })
	},
	func() { // by a goroutine that runs all the time
		c := make(chan int)
		spawn(func() { parked.Done(); spin(c) })
		spawn(func() { liveReceive(c) })
	},
	func() { // by one that is in a system call
		c := make(chan int)
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		fd := int(r.Fd())
		spawn(func() { parked.Done(); var b [1]byte; syscall.Read(fd, b[:]); c <- 1; w.Close() })
		spawn(func() { liveReceive(c) })
	},
	func() { // what waits moves all the time: from a queue to a goroutine that sleeps and back
		queue := make(chan *request, 4)
		for i := 0; i < 3; i++ {
			spawn(func() { parked.Done(); retry(queue) })
		}
		for i := 0; i < 4; i++ {
			r := &request{answer: make(chan int)}
			queue <- r
			spawn(func() { liveRequest(r.answer) })
		}
	},
	func() { // or from goroutine to goroutine, each new
		c := make(chan int)
		spawn(func() { liveRelay(c) })
		go relay(&request{answer: c})
	},
	func() { // or from timer to timer
		c := make(chan int)
		spawn(func() { liveRelay(c) })
		rearm(&request{answer: c})
	},
	func() { // by an element in a channel's buffer, which somebody sleeps to receive
		box := make(chan chan int, 1)
		c := make(chan int)
		box <- c
		spawn(func() { parked.Done(); time.Sleep(hour); (<-box) <- 1 })
		spawn(func() { liveReceive(c) })
	},
	func() { // by what a sender offers, and somebody sleeps to receive
		box := make(chan chan int)
		c := make(chan int)
		spawn(func() { parked.Done(); liveOffer(box, c) })
		spawn(func() { parked.Done(); time.Sleep(hour); (<-box) <- 1 })
		spawn(func() { liveReceive(c) })
	},
	func() { // what nobody but a pool has
		c := make(chan int)
		globalPool.Put(&holder{c: c})
		spawn(func() { livePool(c) })
	},
	func() { spawn(func() { parked.Done(); liveIter() }) },
}

var (
	keep      []*holder
	keepFuncs []context.CancelFunc
)

type request struct {
	tries  int
	answer chan int
}

func finalizeHolder(h *holder) { h.c <- 1 }

//go:noinline
func liveReceive(c chan int) { parked.Done(); <-c }

//go:noinline
func liveRelay(c chan int) { parked.Done(); <-c }

//go:noinline
func liveRequest(c chan int) { parked.Done(); <-c }

//go:noinline
func livePool(c chan int) { parked.Done(); <-c }

//go:noinline
func liveTimer(c <-chan time.Time) { parked.Done(); <-c }

//go:noinline
func liveTicker(t *time.Ticker) {
	parked.Done()
	for range t.C {
	}
}

//go:noinline
func liveSelectTimer(c chan int) {
	select {
	case <-c:
	case <-time.After(hour):
	}
}

//go:noinline
func liveMutex(h *holder) { h.lock.Lock(); parked.Done(); h.lock.Lock() }

//go:noinline
func liveContext(ctx context.Context) { parked.Done(); <-ctx.Done() }

//go:noinline
func liveSignal(c chan os.Signal) { parked.Done(); <-c }

//go:noinline
func liveGroup(group *sync.WaitGroup) { parked.Done(); group.Wait() }

//go:noinline
func liveLock(lock *sync.Mutex) { parked.Done(); lock.Lock() }

//go:noinline
func liveRLock(lock *sync.RWMutex) { parked.Done(); lock.RLock() }

//go:noinline
func liveCond(cond *sync.Cond) {
	cond.L.Lock()
	parked.Done()
	cond.Wait()
}

//go:noinline
func liveChain(from, to chan int) { parked.Done(); to <- <-from }

//go:noinline
func liveWorker(jobs chan net.Conn) {
	parked.Done()
	for c := range jobs {
		c.Close()
	}
}

func acceptLoop(listener net.Listener, jobs chan net.Conn) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		jobs <- c
	}
}

//go:noinline
func liveOffer(box chan chan int, c chan int) { box <- c }

// spin has the channel, and burns a little of a processor.
//
//go:noinline
func spin(c chan int) {
	for len(c) == 0 {
		for i := 0; i < 1000; i++ {
			sink.Add(1)
		}
		if sink.Load()%50_000 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	<-c
}

var sink atomic.Int64

func retry(queue chan *request) {
	for r := range queue {
		r.tries++
		time.Sleep(3 * time.Millisecond)
		queue <- r
	}
}

func relay(r *request) {
	r.tries++
	time.Sleep(2 * time.Millisecond)
	go relay(r)
}

func rearm(r *request) {
	r.tries++
	time.AfterFunc(2*time.Millisecond, func() { rearm(r) })
}
