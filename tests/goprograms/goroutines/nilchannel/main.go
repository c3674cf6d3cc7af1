// A reload channel that is only made when reloading is switched on: without it the watcher waits on nil.
package main

import (
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type config struct {
	reload chan struct{}
	values map[string]string
}

func load(watch bool) *config {
	c := &config{values: map[string]string{"loaded": time.Now().String()}}
	if watch {
		c.reload = make(chan struct{})
	}
	go func() { // LEAK: created-by main.load
		truth.Opened("guilty")
		defer truth.Closed("guilty")
		<-c.reload // LEAK: goroutine main.load.func1
	}()
	return c
}

func (c *config) close() {
	if c.reload != nil {
		close(c.reload)
	}
}

func main() {
	program := harness.Start()
	program.Ready()
	program.Every(func(int) {
		watched := load(true)
		watched.close()
		unwatched := load(program.Fixed)
		unwatched.close()
	})
}
