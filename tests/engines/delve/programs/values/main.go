// Command values holds goroutines with values that are known, a panic in flight, and -n more that wait.
//
// It allocates -rate buffers a second of -size bytes at a line of its own and keeps them, as a leak does (0: none).
// It makes -requests HTTP requests a second to itself (0: none), and logs how each went.
// Commands on stdin: `allocated` tells how many buffers there are, `requests` how many requests were made and failed;
// `exit` ends it.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
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
	made      atomic.Int64
	failed    atomic.Int64
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

// request asks url as often as rate says, each request in a goroutine of its own.
func request(url string, rate int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second}
	for range time.Tick(time.Second / time.Duration(rate)) {
		go func() {
			response, err := client.Get(url)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			made.Add(1)
			if err != nil || response.StatusCode != http.StatusOK {
				failed.Add(1)
			}
		}()
	}
}

func serve() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	return "http://" + listener.Addr().String()
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
	requests := flag.Int("requests", 0, "HTTP requests a second")
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
	if *requests > 0 {
		go request(serve(), *requests)
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
		case "requests":
			say(map[string]any{"requests": map[string]any{"made": made.Load(), "failed": failed.Load()}})
		case "exit":
			os.Exit(0)
		}
	}
}
