package packages

import "sync"

func newPool() *pool {
	return &pool{jobs: make(chan int), ready: sync.NewCond(&sync.Mutex{})}
}
func (p *pool) stop() {
	close(p.jobs)
	p.cancel()
}
func (p *pool) charge(sum int) {
	p.mu.Lock()
	if sum < 0 {
		return
	}
	p.mu.Unlock()
}

func (p *pool) send(part []byte) {
	// The early return owes a Done.
	if len(part) == 0 {
		return
	}
	p.group.Done()
}

func (p *pool) signal() {
	p.ready.Signal()
}

// locker is another type with a mu of its own, never given back.
type locker struct{ mu sync.Mutex }

func (l *locker) take() {
	l.mu.Lock()
	if l.mu.TryLock() {
		return
	}
}
