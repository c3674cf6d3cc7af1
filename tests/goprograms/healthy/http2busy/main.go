// HEALTHY: HTTP/2 with many streams on few connections, long and short, all read to their end.
package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type h2 struct {
	*http.Client
	base string
}

func (c *h2) read(path string) error {
	resp, err := c.Get(c.base + path)
	if err != nil {
		return err
	}
	truth.Opened("read")
	defer truth.Closed("read")
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func main() {
	program := harness.Start()
	c := &h2{&http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}, program.Peers().H2}
	harness.Must(c.read("/small"))
	for i, path := range []string{
		"/sse?ms=100", "/sse?ms=400", "/drip?bps=10000&n=50000", "/drip?bps=5000&n=80000",
		"/longpoll?ms=2000", "/longpoll?ms=5000", "/longpoll?ms=700&late=1", "/sse?ms=300&count=20",
	} {
		go func() {
			time.Sleep(time.Duration(i) * 50 * time.Millisecond)
			for {
				c.read(path)
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
	program.Ready()
	program.Every(func(int) {
		go c.read("/slow?ms=100")
		c.read("/large?n=30000")
	})
}
