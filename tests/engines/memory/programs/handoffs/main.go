// Command handoffs asks its own slow server for responses in several ways, over one pool of connections. The path
// of each request is the function that is to blame for its body, or to be cleared.
package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

var never = make(chan int)

type caller struct {
	client *http.Client
	base   string
}

//go:noinline
func (c *caller) forget() bool {
	resp, err := c.client.Get(c.base + "/forget")
	return err == nil && resp.StatusCode == http.StatusOK
}

//go:noinline
func (c *caller) tidy() string {
	resp, err := c.client.Get(c.base + "/tidy")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

//go:noinline
func (c *caller) fetch(path string) (*http.Response, error) {
	req, err := http.NewRequest("GET", c.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain")
	return c.client.Do(req)
}

//go:noinline
func (c *caller) wrapped() int {
	resp, err := c.fetch("/wrapped")
	if err != nil {
		return 0
	}
	return resp.StatusCode
}

// quiet holds its response while it waits: nothing has overwritten what the call left.
//
//go:noinline
func (c *caller) quiet(started chan<- bool) int {
	resp, err := c.client.Get(c.base + "/quiet")
	started <- err == nil
	return resp.StatusCode + <-never
}

//go:noinline
func step(n int) int { return n * 3 }

//go:noinline
func other(n int) int { return n + 5 }

//go:noinline
func last(n int) int { return n - 1 }

// order is for the tests of the order of calls: step always comes before last, other may.
//
//go:noinline
func order(n int) int {
	n = step(n)
	if n > 7 {
		n = other(n)
	}
	return last(n)
}

//go:noinline
func repeat(n int) int {
	for i := range 10 {
		if i > 4 {
			n = last(n)
		}
		n = step(n)
	}
	return other(n)
}

func every(pause time.Duration, work func()) {
	for {
		work()
		time.Sleep(pause)
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond)
		io.WriteString(w, "an answer to "+r.URL.Path)
	}))
	c := &caller{&http.Client{}, "http://" + listener.Addr().String()}
	started := make(chan bool)
	for range 3 {
		go c.quiet(started)
		if !<-started {
			panic("no answer")
		}
	}
	go every(30*time.Millisecond, func() { c.forget() })
	go every(10*time.Millisecond, func() { c.tidy() })
	go every(30*time.Millisecond, func() { c.tidy(); c.wrapped(); c.tidy() })
	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "order": order(3) + repeat(2)})
	io.Copy(io.Discard, os.Stdin)
}
