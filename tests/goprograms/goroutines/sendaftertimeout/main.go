// A lookup with a deadline: when the deadline wins, nobody is left to receive the answer.
package main

import (
	"errors"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

var errTooSlow = errors.New("quote: too slow")

type quotes struct {
	buffer int
	delay  time.Duration
}

func (q *quotes) ask(symbol string, deadline time.Duration) (float64, error) {
	answer := make(chan float64, q.buffer)
	go func() { // LEAK: created-by main.(*quotes).ask
		truth.Opened("guilty")
		defer truth.Closed("guilty")
		answer <- q.compute(symbol) // LEAK: goroutine main.(*quotes).ask.func1
	}()
	select {
	case price := <-answer:
		return price, nil
	case <-time.After(deadline):
		return 0, errTooSlow
	}
}

func (q *quotes) compute(symbol string) float64 {
	time.Sleep(q.delay)
	return float64(len(symbol))
}

func main() {
	program := harness.Start()
	slow := &quotes{delay: 20 * time.Millisecond}
	fast := &quotes{delay: time.Millisecond}
	if program.Fixed {
		slow.buffer = 1
	}
	program.Ready()
	program.Every(func(int) {
		go slow.ask("GOOG", 5*time.Millisecond)
		fast.ask("AAPL", time.Second)
	})
}
