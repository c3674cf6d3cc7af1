// Command calls calls one function as often as it is told to, and says what it gave it.
//
// Commands on stdin: `call GOROUTINES TIMES`, `threads THREADS TIMES` (each on a new thread of its own), `deep DEPTH`
// (says who called, by runtime.Callers), `time TIMES DEPTH` (nanoseconds a call), `wrong` (pointers that lead nowhere).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

type node struct {
	name   string
	number uint64
	next   *node
}

var (
	sink    uint64
	callers []uintptr
	nowhere uintptr = 0x10_0000_0000
	long            = make([]byte, 100)
)

// probed has its arguments in AX, BX, CX (the string's pointer and length) and DI; its result is in AX.
//
//go:noinline
func probed(number uint64, name string, at *node) uint64 {
	if number == 0 {
		pcs := make([]uintptr, 512)
		callers = pcs[:runtime.Callers(1, pcs)]
	}
	return number*2 + uint64(len(name)) + touch(at)
}

//go:noinline
func touch(at *node) uint64 {
	if uintptr(unsafe.Pointer(at)) == nowhere {
		return 1
	}
	if at == nil {
		return 0
	}
	return at.number & 1
}

//go:noinline
func deep(depth int) uint64 {
	if depth == 0 {
		return probed(0, "deep", nil)
	}
	return deep(depth-1) + 1
}

//go:noinline
func timed(times, depth int, at *node) time.Duration {
	if depth > 0 {
		return timed(times, depth-1, at) + 0
	}
	began := time.Now()
	for range times {
		sink += probed(1, "timed", at)
	}
	return time.Since(began)
}

func main() {
	for index := range long {
		long[index] = 'a' + byte(index%26)
	}
	chain := &node{"first", 11, &node{string(long), 12, nil}}
	say(map[string]any{"ready": true, "chain": uintptr(unsafe.Pointer(chain))})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var command string
		var first, times int
		fmt.Sscan(lines.Text(), &command, &first, &times)
		switch command {
		case "call", "threads":
			var group sync.WaitGroup
			for index := range first {
				group.Add(1)
				go func() {
					defer group.Done()
					if command == "threads" {
						runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
					}
					for call := range times {
						probed(uint64(index*times+call)+1, "called", chain)
					}
				}()
			}
			group.Wait()
			say(map[string]any{"called": first * times})
		case "deep":
			done := make(chan struct{})
			go func() {
				sink += deep(first)
				close(done)
			}()
			<-done
			say(map[string]any{"callers": callers})
		case "time":
			say(map[string]any{"nanoseconds": float64(timed(first, times, chain)) / float64(first)})
		case "wrong":
			header := struct {
				data uintptr
				len  int
			}{nowhere, 16}
			text := *(*string)(unsafe.Pointer(&header))
			sink += probed(7, text, *(**node)(unsafe.Pointer(&nowhere)))
			say(map[string]any{"called": 1})
		}
	}
}

func say(line any) {
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}
