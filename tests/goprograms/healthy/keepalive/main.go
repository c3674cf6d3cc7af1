// HEALTHY: a keep-alive pool. Bursts open many connections, which then idle in the pool.
package main

import (
	"io"
	"net/http"
	"sync"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func main() {
	program := harness.Start()
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns:        200,
		MaxIdleConnsPerHost: 200,
		IdleConnTimeout:     90 * time.Second,
	}}
	get := func() {
		resp, err := client.Get(program.Peer + "/slow?ms=30")
		if err != nil {
			return
		}
		truth.Opened("get")
		defer truth.Closed("get")
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
	}
	program.Ready()
	program.Every(func(i int) {
		if i%20 != 0 {
			get()
			return
		}
		var burst sync.WaitGroup
		for range 40 {
			burst.Add(1)
			go func() {
				defer burst.Done()
				get()
			}()
		}
		burst.Wait()
	})
}
