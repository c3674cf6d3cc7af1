package packages

import (
	"context"
	"sync"
)

type pool struct {
	jobs   chan int
	done   chan struct{}
	mu     sync.Mutex
	group  sync.WaitGroup
	cancel context.CancelFunc
	ready  *sync.Cond
}

func (p *pool) work() {
	for job := range p.jobs { // WHY: perhaps blocked: that is done only in pool.stop (stop.go:9)
		_ = job
	}
}

func (p *pool) settle() {
	p.mu.Lock() // WHY: blocked: pool.charge leaves at stop.go:15 with p.mu locked
	p.mu.Unlock()
}

func (p *pool) assemble() {
	p.group.Wait() // WHY: blocked: pool.send leaves at stop.go:23 without Done
}

func (p *pool) wait() {
	<-p.done // WHY: perhaps blocked: nothing in this package closes p.done
}

func (p *pool) signalled() {
	p.ready.L.Lock()
	p.ready.Wait() // WHY: perhaps blocked: this package has Signal at stop.go:29
	p.ready.L.Unlock()
}

func (p *pool) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		<-ctx.Done() // WHY: perhaps blocked: that is done only at stop.go:10
	}()
}
