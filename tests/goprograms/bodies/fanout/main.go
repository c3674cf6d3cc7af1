// Two mirrors are asked at once and the first answer wins. The loser's lies in the channel.
package main

import (
	"context"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type mirrors struct {
	client *http.Client
	urls   []string
}

type outcome struct {
	resp *http.Response
	err  error
}

func (m *mirrors) first(ctx context.Context, path string, fixed bool) (*http.Response, error) {
	outcomes := make(chan outcome, len(m.urls))
	for _, base := range m.urls {
		go func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
			if err != nil {
				outcomes <- outcome{err: err}
				return
			}
			resp, err := m.client.Do(req) // LEAK: http-body main.(*mirrors).first.func1
			if err == nil {
				truth.Opened("guilty")
			}
			outcomes <- outcome{resp, err}
		}()
	}
	won := <-outcomes
	if fixed {
		go func() {
			for range len(m.urls) - 1 {
				if lost := <-outcomes; lost.err == nil {
					lost.resp.Body.Close()
					truth.Closed("guilty")
				}
			}
		}()
	}
	return won.resp, won.err
}

func (m *mirrors) download(ctx context.Context, path string, fixed bool) (int64, error) {
	resp, err := m.first(ctx, path, fixed)
	if err != nil {
		return 0, err
	}
	defer truth.Closed("guilty")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func (m *mirrors) checksum(path string) (int64, error) {
	resp, err := m.client.Get(m.urls[0] + path)
	if err != nil {
		return 0, err
	}
	truth.Opened("checksum")
	defer truth.Closed("checksum")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func main() {
	program := harness.Start()
	m := &mirrors{client: &http.Client{}, urls: []string{program.Peer, program.Peer}}
	program.Ready()
	program.Every(func(int) {
		m.download(context.Background(), "/large?n=9000", program.Fixed)
		m.checksum("/small")
	})
}
