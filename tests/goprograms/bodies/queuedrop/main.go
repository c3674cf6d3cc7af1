// A crawler hands pages to its workers over a queue. When the queue is full the page is dropped, and
// counted, but not closed.
package main

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type crawler struct {
	client  *http.Client
	pages   chan *http.Response
	dropped atomic.Int64
	fixed   bool
}

func (c *crawler) fetch(url string) error {
	page, err := c.client.Get(url) // LEAK: http-body main.(*crawler).fetch
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	select {
	case c.pages <- page:
	default:
		c.dropped.Add(1)
		if c.fixed {
			page.Body.Close()
			truth.Closed("guilty")
		}
	}
	return nil
}

func (c *crawler) work(pause time.Duration) {
	for page := range c.pages {
		io.Copy(io.Discard, page.Body)
		page.Body.Close()
		truth.Closed("guilty")
		time.Sleep(pause)
	}
}

func (c *crawler) robots(url string) error {
	resp, err := c.client.Get(url)
	if err != nil {
		return err
	}
	truth.Opened("robots")
	defer truth.Closed("robots")
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

func main() {
	program := harness.Start()
	c := &crawler{client: &http.Client{}, pages: make(chan *http.Response, 8), fixed: program.Fixed}
	for range 4 {
		go c.work(8 * program.Interval()) // half of what comes in
	}
	program.Ready()
	program.Every(func(int) {
		c.fetch(program.Peer + "/large?n=20000")
		c.robots(program.Peer + "/small")
	})
}
