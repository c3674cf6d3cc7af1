// HEALTHY: a worker pool of fixed size, with a queue, that is idle most of the time.
package main

import (
	"context"
	"io"
	"net/http"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type task struct {
	path string
	done chan<- int
}

type pool struct {
	queue chan task
	wg    sync.WaitGroup
}

func start(ctx context.Context, n int, work func(task) int) *pool {
	p := &pool{queue: make(chan task, n)}
	p.wg.Add(n)
	for range n {
		go func() {
			defer p.wg.Done()
			for {
				select {
				case <-ctx.Done():
					return
				case t := <-p.queue:
					t.done <- work(t)
				}
			}
		}()
	}
	return p
}

func main() {
	program := harness.Start()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	p := start(context.Background(), 50, func(t task) int {
		resp, err := client.Get(program.Peer + t.path)
		if err != nil {
			return 0
		}
		truth.Opened("task")
		defer truth.Closed("task")
		defer resp.Body.Close()
		n, _ := io.Copy(io.Discard, resp.Body)
		return int(n)
	})
	program.Ready()
	program.Every(func(int) {
		done := make(chan int, 3)
		for _, path := range []string{"/small", "/large?n=5000", "/slow?ms=20"} {
			p.queue <- task{path, done}
		}
		for range cap(done) {
			<-done
		}
	})
}
