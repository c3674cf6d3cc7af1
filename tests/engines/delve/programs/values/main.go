// Command values holds goroutines with values that are known, a panic in flight, and -n more that wait.
//
// It allocates -rate buffers a second of -size bytes at a line of its own and keeps them, as a leak does (0: none).
// Commands on stdin: `allocated` tells how many buffers there are; `exit` ends it.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

type order struct {
	ID    int
	Name  string
	Lines []string
	Next  *order
}

var (
	never     = make(chan struct{})
	sink      int
	allocated atomic.Int64
	kept      [][]byte
)

//go:noinline
func release(o *order) { sink += o.ID }

//go:noinline
func hold(o *order, weights map[string]int, queue chan int, note string) {
	defer release(o)
	total := len(note) + o.ID
	<-never
	sink += total + len(weights) + len(queue) + len(note) + o.ID
}

//go:noinline
func failing() {
	defer func() {
		<-never
		recover()
	}()
	panic(errors.New("no stock"))
}

//go:noinline
func wait(depth int) int {
	if depth == 0 {
		<-never
		return 0
	}
	return wait(depth-1) + 1
}

//go:noinline
func keep(size int) {
	kept = append(kept, make([]byte, size))
	allocated.Add(1)
}

func say(value map[string]any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		panic(err)
	}
}

func main() {
	count := flag.Int("n", 10, "goroutines that wait")
	rate := flag.Int("rate", 0, "buffers a second")
	size := flag.Int("size", 40<<10, "bytes of a buffer")
	flag.Parse()
	queue := make(chan int, 8)
	queue <- 11
	queue <- 22
	last := &order{ID: 2, Name: "last"}
	first := &order{ID: 7, Name: "widgets", Lines: []string{"bolt", "nut"}, Next: last}
	go hold(first, map[string]int{"bolt": 3}, queue, "fragile")
	go failing()
	for range *count {
		go wait(3)
	}
	if *rate > 0 {
		go func() {
			for range time.Tick(time.Second / time.Duration(*rate)) {
				keep(*size)
			}
		}()
	}
	for runtime.NumGoroutine() < *count {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	say(map[string]any{"ready": true})
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch commands.Text() {
		case "allocated":
			say(map[string]any{"allocated": allocated.Load()})
		case "exit":
			os.Exit(0)
		}
	}
}
