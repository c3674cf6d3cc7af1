// Command variety parks goroutines in every way there is, then serves pprof and waits for its stdin to end.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Set by files that need a newer release or cgo.
var more []func()

var parked = make(chan struct{})

// blocker is called through an embedding struct and an interface: the compiler writes wrappers for it.
type blocker struct{ name string }

func (b *blocker) Block() { <-parked }

func (b blocker) BlockByValue() { fmt.Sprint(b.name); <-parked }

type outer struct{ *blocker }

type valueOuter struct{ blocker }

type Blocks interface{ Block() }

type BlocksByValue interface{ BlockByValue() }

//go:noinline
func throughInterface(b Blocks) { b.Block() }

//go:noinline
func throughValue(b BlocksByValue) { b.BlockByValue() }

func small(c chan struct{}) { smaller(c) }

func smaller(c chan struct{}) { smallest(c) }

func smallest(c chan struct{}) { <-c }

//go:noinline
func deep(n int) int {
	if n == 0 {
		<-parked
		return 0
	}
	return deep(n-1) + 1
}

//go:noinline
func fat(n int) byte {
	var room [3000]byte
	room[n] = byte(n)
	if n == 0 {
		<-parked
	} else {
		room[0] = fat(n - 1)
	}
	return room[n]
}

type pair[K comparable, V any] struct{ values map[K]V }

//go:noinline
func (p *pair[K, V]) wait(key K) V {
	<-parked
	return p.values[key]
}

//go:noinline
func mapAll[T, U any](items []T, f func(T) U) (all []U) {
	for _, item := range items {
		all = append(all, f(item))
	}
	return all
}

//go:noinline
func panics() {
	defer func() {
		<-parked
		recover()
	}()
	var nothing *blocker
	fmt.Sprint(nothing.name)
}

//go:noinline
func deferred() {
	defer small(parked)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(listener, nil)

	go func() { <-parked }()
	go small(parked)
	go (&blocker{}).Block()
	go throughInterface(outer{&blocker{}})
	go throughInterface(&outer{&blocker{}})
	go throughValue(&blocker{"x"})
	go throughValue(valueOuter{blocker{"y"}})
	method := (&blocker{}).Block
	go method()
	go deep(30)
	go deep(300)
	go deep(3000)
	go fat(40)
	go fat(900)
	go panics()
	go deferred()
	go (&pair[string, int]{}).wait("x")
	go mapAll([]int{1}, func(int) string { <-parked; return "" })
	go func() {
		var nothing chan int
		nothing <- 1
	}()
	go func() {
		var nothing chan int
		<-nothing
	}()
	go func() { select {} }()
	go func() {
		full := make(chan int)
		full <- 1
	}()
	go func() {
		for range parked {
		}
	}()
	go func() {
		timer := time.NewTimer(time.Hour)
		select {
		case <-timer.C:
		case <-parked:
		}
	}()
	go time.Sleep(time.Hour)
	var mutex sync.Mutex
	mutex.Lock()
	go mutex.Lock()
	go func() {
		mutex.Lock()
		defer mutex.Unlock()
	}()
	var readers sync.RWMutex
	readers.Lock()
	go readers.RLock()
	go readers.Lock()
	var group sync.WaitGroup
	group.Add(1)
	go group.Wait()
	var held sync.Mutex
	cond := sync.NewCond(&held)
	go func() {
		held.Lock()
		cond.Wait()
	}()
	var once sync.Once
	go once.Do(func() { <-parked })
	go func() {
		runtime.LockOSThread()
		<-parked
	}()
	var pipe [2]int
	must(syscall.Pipe(pipe[:]))
	go syscall.Read(pipe[0], make([]byte, 1)) // blocks in the kernel
	reader, writer := io.Pipe()
	go io.ReadAll(reader)
	_ = writer
	connection, err := net.Dial("tcp", listener.Addr().String())
	must(err)
	go connection.Read(make([]byte, 1))
	go pprof.Do(context.Background(), pprof.Labels("tenant", "blue", "shard", "7"), func(context.Context) {
		go func() { <-parked }()
		<-parked
	})
	go http.NewRequestWithContext(context.Background(), "GET", "http://x/", nil)
	ctx, cancel := context.WithCancel(context.Background())
	_ = cancel
	context.AfterFunc(ctx, func() {})
	go func() { <-ctx.Done() }()
	time.AfterFunc(time.Millisecond, func() { <-parked })
	runtime.SetFinalizer(&blocker{"finalized"}, func(*blocker) { <-parked })
	runtime.GC()
	var spins atomic.Uint64
	if len(os.Args) > 1 && os.Args[1] == "spin" {
		go func() {
			for {
				spins.Add(1)
			}
		}()
	}
	for _, start := range more {
		start()
	}
	time.Sleep(300 * time.Millisecond)
	runtime.GC() // stacks shrink, and waitsince is known from here on
	time.Sleep(100 * time.Millisecond)
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "pprof": listener.Addr().String()}))
	io.Copy(io.Discard, os.Stdin)
}
