// Command parked holds -n goroutines on a few different stacks; for measurements.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync"
)

var never = make(chan int)

//go:noinline
func wait(depth int) int {
	if depth == 0 {
		return <-never
	}
	return wait(depth-1) + 1
}

func main() {
	count := flag.Int("n", 1000, "goroutines")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	var started sync.WaitGroup
	for i := range *count {
		started.Add(1)
		go func() {
			started.Done()
			wait(i % 12)
		}()
	}
	started.Wait()
	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "pprof": listener.Addr().String()})
	io.Copy(io.Discard, os.Stdin)
}
