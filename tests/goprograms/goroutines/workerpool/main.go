// Every batch gets a pool of its own, and nobody closes its queue: the workers wait for work for ever.
package main

import (
	"strings"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type pool struct {
	jobs chan string
	done sync.WaitGroup
}

func newPool(workers int) *pool {
	p := &pool{jobs: make(chan string)}
	for range workers {
		truth.Opened("guilty")
		go p.worker() // LEAK: created-by main.newPool
	}
	return p
}

func (p *pool) worker() {
	defer truth.Closed("guilty")
	for job := range p.jobs { // LEAK: goroutine main.(*pool).worker
		_ = strings.ToUpper(job)
		p.done.Done()
	}
}

func (p *pool) run(batch []string) {
	p.done.Add(len(batch))
	for _, job := range batch {
		p.jobs <- job
	}
	p.done.Wait()
}

func main() {
	program := harness.Start()
	program.Rate /= 2 // two workers each
	batch := strings.Fields("the quick brown fox jumps over the lazy dog")
	steady := newSteady(4)
	program.Ready()
	program.Every(func(int) {
		p := newPool(2)
		p.run(batch)
		if program.Fixed {
			close(p.jobs)
		}
		steady.run(batch)
	})
}

// newSteady is the pool that is made once; its four workers are meant to stay.
func newSteady(workers int) *pool {
	p := &pool{jobs: make(chan string, 8)}
	for range workers {
		go func() {
			for job := range p.jobs {
				_ = strings.ToLower(job)
				p.done.Done()
			}
		}()
	}
	return p
}
