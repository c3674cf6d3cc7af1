// Package hub passes events on to whoever subscribed.
package hub

import (
	"sync"

	"example.com/goprograms/internal/truth"
)

// Event is what happened.
type Event struct{ Topic, Text string }

// Hub knows its subscribers. The zero value is ready.
type Hub struct {
	mu          sync.RWMutex
	subscribers map[*Subscription]struct{}
}

// Subscription is one subscriber's queue.
type Subscription struct {
	hub    *Hub
	events chan Event
	handle func(Event)
}

// Subscribe calls handle for every event until Cancel.
func (h *Hub) Subscribe(handle func(Event)) *Subscription {
	s := &Subscription{hub: h, events: make(chan Event, 16), handle: handle}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		h.subscribers = make(map[*Subscription]struct{})
	}
	h.subscribers[s] = struct{}{}
	truth.Opened("guilty")
	go s.deliver() // LEAK: created-by example.com/goprograms/goroutines/subscriber/hub.(*Hub).Subscribe
	return s
}

func (s *Subscription) deliver() {
	defer truth.Closed("guilty")
	for event := range s.events { // LEAK: goroutine example.com/goprograms/goroutines/subscriber/hub.(*Subscription).deliver
		s.handle(event)
	}
}

// Cancel ends the subscription.
func (s *Subscription) Cancel() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if _, ok := s.hub.subscribers[s]; ok {
		delete(s.hub.subscribers, s)
		close(s.events)
	}
}

// Publish never blocks: slow subscribers miss events.
func (h *Hub) Publish(event Event) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for s := range h.subscribers {
		select {
		case s.events <- event:
		default:
		}
	}
}
