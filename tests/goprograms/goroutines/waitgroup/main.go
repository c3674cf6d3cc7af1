// A part that fails returns before Done, so whoever waits for all parts waits for ever.
package main

import (
	"errors"
	"log"
	"sync"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

var errCorrupt = errors.New("corrupt part")

type upload struct {
	id    int
	parts []int
	fixed bool
}

func (u *upload) send(part int, wg *sync.WaitGroup) error {
	if u.fixed {
		defer wg.Done()
	}
	if part < 0 {
		return errCorrupt
	}
	time.Sleep(time.Millisecond)
	if !u.fixed {
		wg.Done()
	}
	return nil
}

// assemble runs in the background of every upload.
func (u *upload) assemble(report func(int)) {
	truth.Opened("guilty")
	defer truth.Closed("guilty")
	var wg sync.WaitGroup
	for _, part := range u.parts {
		wg.Add(1)
		go u.send(part, &wg)
	}
	wg.Wait() // LEAK: goroutine main.(*upload).assemble
	report(u.id)
}

func main() {
	program := harness.Start()
	logger := log.New(discard{}, "", 0)
	report := func(id int) { logger.Printf("upload %d is complete", id) }
	program.Ready()
	program.Every(func(i int) {
		good := &upload{id: i, parts: []int{1, 2, 3}, fixed: true}
		bad := &upload{id: i, parts: []int{1, -1, 3}, fixed: program.Fixed}
		done := make(chan struct{})
		go func() {
			good.assemble(report)
			close(done)
		}()
		<-done
		go bad.assemble(report) // LEAK: created-by main.main.func2
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
