// Command defers parks goroutines with deferred calls pending and panics in flight, then waits for its stdin to end.
//
// Each goroutine begins in a function of its own. A deferred call that is pending while it is parked is marked
// at its statement with `pending ORDER CALLED [record] [xN] [unplaced]`, 1 being the next to run: `record` says it
// is on the chain, not open-coded, `xN` that it was deferred N times, `unplaced` that the line is not known. Panics
// are marked `panics ORDER TYPE VALUE`, newest first. Marks belong to the goroutine of the last `goroutine NAME`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

// Set by files that need a newer release.
var more []func()

var never = make(chan int)

type resource struct {
	mu   sync.Mutex
	name string
}

//go:noinline
func (r *resource) Close() error { fmt.Fprint(io.Discard, r.name); return nil }

//go:noinline
func (r resource2) Release() { fmt.Fprint(io.Discard, r.name) }

type resource2 struct{ name string }

type embeds struct{ *resource }

type code int

func (c code) String() string { return fmt.Sprint("code ", int(c)) }

type failure struct{ Code int }

func (f failure) Error() string { return fmt.Sprint("failure ", f.Code) }

//go:noinline
func note(v any) { fmt.Fprint(io.Discard, v) }

//go:noinline
func wait() { <-never }

//go:noinline
func closers(c io.Closer, taken bool) { // goroutine openCoded
	var mu sync.Mutex
	mu.Lock()
	defer note(c)  // pending 6 main.note
	defer func() { // pending 5 main.closers.func1
		note(taken)
	}()
	if taken {
		defer note("not taken")
	}
	defer mu.Unlock() // pending 4 sync.(*Mutex).Unlock
	defer c.Close()   // pending 3 main.(*resource).Close
	_, cancel := context.WithCancel(context.Background())
	defer cancel()                        // pending 2 context.WithCancel.func1
	defer resource2{"by value"}.Release() // pending 1 main.resource2.Release
	<-never
}

func openCoded() { closers(&resource{}, false) }

// The function is on its way out: its last deferred call waits, two are left. goroutine leaving
func leaving() {
	defer note(1) // pending 2 main.note
	defer note(2) // pending 1 main.note
	defer wait()
	note(3)
}

// goroutine loop
func loop() {
	for i := range 3 {
		defer note(i) // pending 2 main.note record x3
	}
	defer func() { note("last") }() // pending 1 main.loop.func1 record
	<-never
}

// More than eight: each has a record in the frame, none is open-coded. goroutine nine
func nine() {
	defer note(1) // pending 9 main.note record
	defer note(2) // pending 8 main.note record
	defer note(3) // pending 7 main.note record
	defer note(4) // pending 6 main.note record
	defer note(5) // pending 5 main.note record
	defer note(6) // pending 4 main.note record
	defer note(7) // pending 3 main.note record
	defer note(8) // pending 2 main.note record
	defer note(9) // pending 1 main.note record
	<-never
}

// goroutine nested
func nested() {
	defer note("outer") // pending 6 main.note
	inLoop()
}

//go:noinline
func inLoop() {
	for i := range 2 {
		defer note(i) // pending 4 main.note record x2
	}
	inside(embeds{&resource{}})
}

//go:noinline
func inside(c io.Closer) {
	var group sync.WaitGroup
	group.Add(1)
	defer group.Done() // pending 3 sync.(*WaitGroup).Done
	defer c.Close()    // pending 2 main.(*resource).Close
	generic("x", 7)
}

//go:noinline
func generic[K comparable, V any](key K, value V) {
	defer func() { note(key); note(value) }() // pending 1 main.generic[...].func1
	<-never
}

// goroutine nilFunction
func nilFunction() {
	var nothing func()
	defer note(1)   // pending 2 main.note
	defer nothing() // pending 1 nil unplaced
	<-never
}

// goroutine wrappedError
func wrappedError() {
	defer note(1) // pending 1 main.note
	defer wait()
	panic(fmt.Errorf("cannot go on: %w", io.EOF)) // panics 1 *fmt.wrapError cannot go on: EOF
}

// goroutine panicsTwice
func panicsTwice() {
	defer note(1) // pending 2 main.note
	defer func() {
		defer note(2) // pending 1 main.note
		defer wait()
		panic(errors.New("second")) // panics 1 *errors.errorString second
	}()
	panic("first\x1b[31m") // panics 2 string first\x1b[31m
}

// goroutine recovers
func recovers() {
	defer note(1) // pending 2 main.note
	defer func() {
		recover()
		defer note(2) // pending 1 main.note
		wait()
	}()
	panic(code(7)) // panics 1 main.code 7 recovered
}

// goroutine recovered
func recovered() {
	defer note(1) // pending 1 main.note
	defer wait()
	defer func() { recover() }()
	panic("over")
}

// goroutine exits
func exits() {
	defer note(1) // pending 1 main.note
	defer wait()
	runtime.Goexit()
}

// goroutine dereferences
func dereferences() {
	defer wait()
	var r *resource
	note(r.name) // panics 1 runtime.errorString runtime error: invalid memory address or nil pointer dereference
}

// goroutine indexes
func indexes() {
	defer wait()
	all := make([]int, len(os.Args))
	note(all[len(os.Args)+4]) // panics 1 runtime.boundsError runtime error: index out of range [5] with length 1
}

// goroutine structPanic
func structPanic() {
	defer wait()
	panic(failure{3}) // panics 1 main.failure main.failure
}

// goroutine nilPanic
func nilPanic() {
	defer wait()
	panic(nil) // panics 1 *runtime.PanicNilError panic called with nil argument
}

// goroutine floatPanic
func floatPanic() {
	defer wait()
	panic(2.5) // panics 1 float64 2.5
}

// goroutine nothing
func nothing() { wait() }

// It is interrupted wherever it is, its deferred call open-coded. goroutine spins
func spins() {
	sum := 0
	defer func() { note(sum) }() // pending 1 main.spins.func1
	for sum >= 0 {
		sum = (sum + 3) & 0xffff
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "spin" {
		runtime.GOMAXPROCS(1)
		go spins()
		go spins()
		json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true})
		io.Copy(io.Discard, os.Stdin)
		return
	}
	for _, run := range []func(){
		openCoded, leaving, loop, nine, nested, nilFunction, wrappedError, panicsTwice, recovers, recovered,
		exits, dereferences, indexes, structPanic, nilPanic, floatPanic, nothing,
	} {
		more = append(more, run)
	}
	var started sync.WaitGroup
	for _, run := range more {
		started.Add(1)
		go func() { started.Done(); run() }()
	}
	started.Wait()
	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true})
	io.Copy(io.Discard, os.Stdin)
}
