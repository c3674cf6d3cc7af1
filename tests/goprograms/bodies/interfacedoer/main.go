// A Doer wrapped in metrics, retries and a rate limit, each returning the response to the next. The
// report job at the outside owns it and forgets it; the audit job does not.
package main

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

// Doer is what http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

type metered struct {
	Doer
	requests, nanoseconds atomic.Int64
}

func (m *metered) Do(req *http.Request) (*http.Response, error) {
	defer func(start time.Time) { m.nanoseconds.Add(int64(time.Since(start))) }(time.Now())
	m.requests.Add(1)
	return m.Doer.Do(req)
}

type retrying struct {
	Doer
	tries int
}

func (r retrying) Do(req *http.Request) (resp *http.Response, err error) {
	for range r.tries {
		if resp, err = r.Doer.Do(req); err == nil {
			return resp, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(req *http.Request) (*http.Response, error) { return f(req) }

func limited(d Doer, n int) Doer {
	tokens := make(chan struct{}, n)
	return doerFunc(func(req *http.Request) (*http.Response, error) {
		tokens <- struct{}{}
		defer func() { <-tokens }()
		return d.Do(req)
	})
}

type reports struct {
	doer  Doer
	url   string
	fixed bool
}

func (r *reports) push(text string) error {
	req, err := http.NewRequest(http.MethodPut, r.url, strings.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := r.doer.Do(req) // LEAK: http-body main.(*reports).push
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	if r.fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	return nil
}

func (r *reports) audit() (int64, error) {
	req, err := http.NewRequest(http.MethodGet, r.url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := r.doer.Do(req)
	if err != nil {
		return 0, err
	}
	truth.Opened("audit")
	defer truth.Closed("audit")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func main() {
	program := harness.Start()
	doer := limited(retrying{&metered{Doer: &http.Client{}}, 3}, 4)
	r := &reports{doer: doer, url: program.Peer + "/echo", fixed: program.Fixed}
	program.Ready()
	program.Every(func(int) {
		r.push(strings.Repeat("sold one widget\n", 400))
		r.audit()
	})
}
