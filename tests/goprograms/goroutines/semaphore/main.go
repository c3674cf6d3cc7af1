// A limit of concurrent exports as a channel of tokens. A cancelled export does not give its token
// back; soon there are none.
package main

import (
	"context"
	"errors"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type gate chan struct{}

func (g gate) enter() { g <- struct{}{} } // LEAK-ALSO: main.(*exporter).export
func (g gate) leave() { <-g }

var errCancelled = errors.New("cancelled")

type exporter struct {
	gate  gate
	fixed bool
}

func (e *exporter) export(ctx context.Context, rows int) error {
	truth.Opened("guilty")
	defer truth.Closed("guilty")
	e.gate.enter() // LEAK: goroutine main.(*exporter).export
	for range rows {
		if ctx.Err() != nil {
			if e.fixed {
				e.gate.leave()
			}
			return errCancelled
		}
		time.Sleep(100 * time.Microsecond)
	}
	e.gate.leave()
	return nil
}

func main() {
	program := harness.Start()
	e := &exporter{gate: make(gate, 8), fixed: program.Fixed}
	quiet := &exporter{gate: make(gate, 8), fixed: true}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	program.Ready()
	program.Every(func(i int) {
		go e.export(ctx, 10) // LEAK: created-by main.main.func1
		finished := make(chan error, 1)
		go func() { finished <- quiet.export(context.Background(), 1) }()
		<-finished
	})
}
