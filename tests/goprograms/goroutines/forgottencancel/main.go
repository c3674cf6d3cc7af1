// A heartbeat for each session runs until its context is done. The sessions end, their contexts do not.
package main

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type session struct {
	beats  atomic.Int64
	cancel context.CancelFunc
}

func open(parent context.Context) *session {
	ctx, cancel := context.WithCancel(parent)
	s := &session{cancel: cancel}
	go s.heartbeat(ctx, 30*time.Second) // LEAK: created-by main.open
	return s
}

func (s *session) heartbeat(ctx context.Context, interval time.Duration) {
	truth.Opened("guilty")
	defer truth.Closed("guilty")
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select { // LEAK: goroutine main.(*session).heartbeat
		case <-ticker.C:
			s.beats.Add(1)
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) close(fixed bool) {
	s.beats.Store(0)
	if fixed {
		s.cancel()
	}
}

// flush has its context cancelled as it should be.
func flush(parent context.Context) {
	ctx, cancel := context.WithTimeout(parent, 20*time.Millisecond)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		<-ctx.Done()
	}()
	<-finished
}

func main() {
	program := harness.Start()
	ctx := context.Background()
	program.Ready()
	program.Every(func(int) {
		s := open(ctx)
		flush(ctx)
		s.close(program.Fixed)
	})
}
