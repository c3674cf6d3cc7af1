// Command waits parks goroutines on everything there is to wait on: some can be woken by something that lives, the
// others by nothing. Its goroutines are named by their functions: leaked* can never go on, live* can.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"reflect"
	"runtime"
	"sync"
	"time"
)

// Each start function runs on a goroutine that ends, so that no frame of a living one holds what it made.
func run(start func()) {
	done := make(chan struct{})
	go func() {
		start()
		close(done)
	}()
	<-done
}

var parked sync.WaitGroup

// spawn runs f on a goroutine; the caller waits until it got going.
func spawn(f func()) {
	parked.Add(1)
	go f()
}

func main() {
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	for _, start := range append(leaks, lives...) {
		run(start)
	}
	for _, start := range described {
		run(start)
	}
	parked.Wait()
	runtime.GC()
	time.Sleep(100 * time.Millisecond)
	scrub(20)
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"ready": true, "pprof": listener.Addr().String(), "facts": facts,
	})
	io.Copy(io.Discard, os.Stdin)
}

// scrub overwrites what is left of earlier calls on the main goroutine's stack.
//
//go:noinline
func scrub(depth int) int {
	var space [64]int
	for i := range space {
		space[i] = depth
	}
	if depth > 0 {
		return scrub(depth-1) + space[depth%64]
	}
	return space[0]
}

// facts are what the program knows of itself: address of the channel or semaphore by the name of the function.
var facts = map[string]string{}
var factsLock sync.Mutex

func note(name string, p any) {
	factsLock.Lock()
	defer factsLock.Unlock()
	facts[name] = fmt.Sprintf("%#x", reflect.ValueOf(p).Pointer())
}

type payload struct {
	name string
	when time.Time
}

var (
	describedChannel  = make(chan *payload, 3)
	describedFull     = make(chan payload, 2)
	describedOther    = make(chan int)
	describedStrings  = make(chan []string)
	describedMutex    sync.Mutex
	describedRW       sync.RWMutex
	describedGroup    sync.WaitGroup
	describedCond     = sync.NewCond(&sync.Mutex{})
	describedEmbedded struct {
		before [3]int
		cond   sync.Cond
		lock   sync.Mutex
	}
)

// Waits whose every detail is known.
var described = []func(){
	func() {
		note("describedReceive", describedChannel)
		for i := 0; i < 3; i++ {
			spawn(describedReceive)
		}
	},
	func() {
		describedFull <- payload{}
		describedFull <- payload{}
		note("describedSend", describedFull)
		spawn(describedSend)
	},
	func() { spawn(describedSelect) },
	func() {
		describedMutex.Lock()
		note("describedMutexLock", &describedMutex)
		spawn(describedMutexLock)
		spawn(describedMutexLock)
	},
	func() {
		describedRW.Lock()
		note("describedRLock", &describedRW)
		note("describedWriteLock", &describedRW)
		spawn(describedRLock)
		time.Sleep(20 * time.Millisecond)
	},
	func() {
		describedGroup.Add(1)
		note("describedGroupWait", &describedGroup)
		spawn(describedGroupWait)
	},
	func() {
		note("describedCondWait", describedCond)
		for i := 0; i < 4; i++ {
			spawn(describedCondWait)
		}
	},
	func() {
		describedEmbedded.cond.L = &describedEmbedded.lock
		note("describedEmbeddedCond", &describedEmbedded.cond)
		spawn(describedEmbeddedCond)
	},
}

//go:noinline
func describedReceive() { parked.Done(); <-describedChannel }

//go:noinline
func describedSend() { parked.Done(); describedFull <- payload{"x", time.Now()} }

//go:noinline
func describedSelect() {
	parked.Done()
	select {
	case describedOther <- 1:
	case <-describedStrings:
	case <-describedChannel:
	}
}

//go:noinline
func describedMutexLock() { parked.Done(); describedMutex.Lock() }

//go:noinline
func describedRLock() { parked.Done(); describedRW.RLock() }

//go:noinline
func describedGroupWait() { parked.Done(); describedGroup.Wait() }

//go:noinline
func describedCondWait() {
	parked.Done()
	describedCond.L.Lock()
	describedCond.Wait()
}

//go:noinline
func describedEmbeddedCond() {
	parked.Done()
	describedEmbedded.lock.Lock()
	describedEmbedded.cond.Wait()
}
