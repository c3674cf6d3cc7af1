// Visitors subscribe to a hub and leave without cancelling. The goroutines are the hub's, in a package
// of its own.
package main

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"example.com/goprograms/goroutines/subscriber/hub"
	"example.com/goprograms/internal/harness"
)

type site struct {
	events hub.Hub
	seen   atomic.Int64
	fixed  bool
}

func (s *site) visit(w http.ResponseWriter, r *http.Request) {
	subscription := s.events.Subscribe(func(hub.Event) { s.seen.Add(1) })
	if s.fixed {
		defer subscription.Cancel()
	}
	s.events.Publish(hub.Event{Topic: "visit", Text: r.RemoteAddr})
	fmt.Fprintf(w, "seen %d\n", s.seen.Load())
}

func main() {
	program := harness.Start()
	s := &site{fixed: program.Fixed}
	mux := http.NewServeMux()
	mux.HandleFunc("/visit", s.visit)
	program.Serve(mux, "/visit")
	program.Ready()
	select {}
}
