package shapes

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errSlow = errors.New("too slow")

func sendsAfterTimeout(work func() int) (int, error) {
	answer := make(chan int)
	go func() {
		answer <- work() // WHY: blocked
	}()
	select {
	case n := <-answer:
		return n, nil
	case <-time.After(time.Second):
		return 0, errSlow
	}
}

func firstOfMany(urls []string, ask func(string) string) string {
	answers := make(chan string)
	for _, url := range urls {
		go func() {
			answers <- ask(url) // WHY: blocked
		}()
	}
	return <-answers
}

func firstOfTwo(ask func(int) string) string {
	answers := make(chan string, 0)
	for i := range 2 {
		go func() {
			answers <- ask(i) // WHY: blocked
		}()
	}
	return <-answers
}

func neverClosesJobs(items []string, work func(string)) {
	jobs := make(chan string)
	var wg sync.WaitGroup
	for range 4 {
		go func() {
			for job := range jobs { // WHY: perhaps blocked
				work(job)
				wg.Done()
			}
		}()
	}
	wg.Add(len(items))
	for _, item := range items {
		jobs <- item
	}
	wg.Wait()
}

func dropsCancel(parent context.Context, beat func()) {
	ctx, _ := context.WithCancel(parent)
	go func() {
		for {
			select { // WHY: blocked
			case <-ctx.Done():
				return
			case <-time.After(time.Minute):
				beat()
			}
		}
	}()
	beat()
}

func ticksForEver(beat func()) {
	ticker := time.NewTicker(time.Second)
	go func() {
		for range ticker.C { // WHY: blocked
			beat()
		}
	}()
}

func waitsForMissingDone(parts []int, send func(int) error) {
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Add(1)
		go func() {
			if part < 0 {
				return
			}
			send(part)
			wg.Done()
		}()
	}
	wg.Wait() // WHY: blocked
}

type account struct {
	mu      sync.Mutex
	balance int
}

func (a *account) withdraw(cents int) error {
	a.mu.Lock() // WHY: blocked
	if a.balance < cents {
		return errSlow
	}
	a.balance -= cents
	a.mu.Unlock()
	return nil
}

type exporter struct{ tokens chan struct{} }

func (e *exporter) export(ctx context.Context) error {
	e.tokens <- struct{}{} // WHY: blocked
	if ctx.Err() != nil {
		return ctx.Err()
	}
	<-e.tokens
	return nil
}
