// Package apiclient adds the base URL and a request id. Whoever calls it owns the body.
package apiclient

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
)

// Client talks to one API.
type Client struct {
	base string
	http *http.Client
	next atomic.Int64
}

// New returns a client for the API at base.
func New(base string) *Client {
	return &Client{base: base, http: &http.Client{}}
}

// Get asks for path. The caller closes the body of the response.
func (c *Client) Get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}

func (c *Client) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("X-Request-Id", fmt.Sprint(c.next.Add(1)))
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return resp, nil
}
