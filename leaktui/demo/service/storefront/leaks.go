package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// showArticle asks for a discontinued article and one in stock; the client forgets the body of the
// former (see inventory.(*Client).Stock).
func (s *shop) showArticle(i int) {
	ctx := context.Background()
	s.warehouse.Stock(ctx, 3*i)
	s.warehouse.Stock(ctx, 3*i+1)
}

// quote asks two suppliers and takes the first price. The channel has no room for the other, so its
// goroutine waits for ever for someone to listen.
func (s *shop) quote(i int) {
	room := 0
	if s.fixed {
		room = 1
	}
	prices := make(chan int, room)
	for supplier := range 2 {
		go func() { // DEMO: created-by main.(*shop).quote
			cents, _ := s.warehouse.Price(context.Background(), i+supplier, time.Second)
			prices <- cents // DEMO: goroutine main.(*shop).quote.func1
		}()
	}
	<-prices
}

// printInvoice opens the template (any file will do) for every invoice and keeps the file for a reprint that never comes.
func (s *shop) printInvoice(i int) {
	template, err := os.Open(s.invoicePath) // DEMO: fd main.(*shop).printInvoice
	if err != nil {
		return
	}
	head := make([]byte, 64)
	template.Read(head)
	if s.fixed {
		template.Close()
		return
	}
	s.invoices = append(s.invoices, template)
}

// session is what the shop remembers of a visitor.
type session struct {
	seen    time.Time
	history []byte
}

// greet remembers every visitor, and forgets none unless it is fixed.
func (s *shop) greet(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[fmt.Sprintf("visitor-%d", i)] = &session{
		seen:    time.Now(),
		history: make([]byte, 64<<10), // DEMO: heap main.(*shop).greet
	}
	if s.fixed {
		delete(s.sessions, fmt.Sprintf("visitor-%d", i-50))
	}
}
