// A RoundTripper that cuts big answers down: it puts a new body in place of the one it read from, and
// forgets that one. Its users close what they are given.
package main

import (
	"bytes"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type limiter struct {
	next  http.RoundTripper
	limit int64
	fixed bool
}

func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req) // LEAK: http-body main.(*limiter).RoundTrip
	if err != nil || resp.ContentLength <= l.limit {
		return resp, err
	}
	truth.Opened("guilty")
	head, err := io.ReadAll(io.LimitReader(resp.Body, l.limit))
	if err != nil {
		resp.Body.Close()
		truth.Closed("guilty")
		return nil, err
	}
	if l.fixed {
		resp.Body.Close()
		truth.Closed("guilty")
	}
	resp.Body = io.NopCloser(bytes.NewReader(head))
	resp.ContentLength = l.limit
	return resp, nil
}

func size(c *http.Client, url string) (int64, error) {
	resp, err := c.Get(url)
	if err != nil {
		return 0, err
	}
	truth.Opened("size")
	defer truth.Closed("size")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func main() {
	program := harness.Start()
	client := &http.Client{Transport: &limiter{next: http.DefaultTransport, limit: 4096, fixed: program.Fixed}}
	program.Ready()
	program.Every(func(int) {
		size(client, program.Peer+"/large?n=65536")
		size(client, program.Peer+"/large?n=1000")
	})
}
