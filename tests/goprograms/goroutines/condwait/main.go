// A hand-made queue on sync.Cond: stopping it sets a flag and forgets to wake those who wait.
package main

import (
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type queue[T any] struct {
	mu      sync.Mutex
	filled  *sync.Cond
	items   []T
	stopped bool
}

func newQueue[T any]() *queue[T] {
	q := new(queue[T])
	q.filled = sync.NewCond(&q.mu)
	return q
}

func (q *queue[T]) push(item T) {
	q.mu.Lock()
	q.items = append(q.items, item)
	q.mu.Unlock()
	q.filled.Signal()
}

func (q *queue[T]) pop() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.stopped {
		q.filled.Wait() // LEAK: goroutine main.consume
	}
	if len(q.items) == 0 {
		return item, false
	}
	item, q.items = q.items[0], q.items[1:]
	return item, true
}

func (q *queue[T]) stop(fixed bool) {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	if fixed {
		q.filled.Broadcast()
	}
}

func consume(q *queue[int], sum *int) {
	truth.Opened("guilty")
	defer truth.Closed("guilty")
	for {
		n, ok := q.pop() // LEAK-ALSO: main.consume
		if !ok {
			return
		}
		*sum += n
	}
}

func main() {
	program := harness.Start()
	var current *queue[int]
	program.Ready()
	program.Every(func(int) { // each shift has a queue of its own
		if current != nil {
			current.stop(program.Fixed)
		}
		current = newQueue[int]()
		go consume(current, new(int)) // LEAK: created-by main.main.func1
		current.push(1)
		current.push(2)
	})
}
