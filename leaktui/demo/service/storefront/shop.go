package main

import (
	"context"
	"os"
	"sync"
	"time"

	"example.com/shop/internal/inventory"
)

// shop is one running storefront.
type shop struct {
	warehouse *inventory.Client
	fixed     bool

	invoices    []*os.File // --leak fd
	invoicePath string

	mu       sync.Mutex
	sessions map[string]*session // --leak heap
}

func newShop(warehouse *inventory.Client, fixed bool) (*shop, error) {
	template, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &shop{
		warehouse:   warehouse,
		fixed:       fixed,
		invoicePath: template,
		sessions:    map[string]*session{},
	}, nil
}

// leaks are the things the shop can forget, by the name of --leak.
func (s *shop) leaks() map[string]func(i int) {
	return map[string]func(i int){
		"body":      s.showArticle,
		"goroutine": s.quote,
		"fd":        s.printInvoice,
		"heap":      s.greet,
		"none":      func(i int) { s.warehouse.Price(context.Background(), i, time.Second) },
	}
}

// browse is the innocent traffic: visitors who look at prices and sometimes at the whole catalogue.
func (s *shop) browse(interval time.Duration) {
	ctx := context.Background()
	every(interval, func(i int) {
		s.warehouse.Price(ctx, i, time.Second)
		if i%20 == 0 {
			s.warehouse.Catalogue(ctx)
		}
	})
}
