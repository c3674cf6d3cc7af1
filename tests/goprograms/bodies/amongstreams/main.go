// A leak in the company of ten event streams, which are open for ever and read, and of slow downloads.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type exchange struct {
	url    string
	client *http.Client
}

func (x *exchange) ticker(ms int) {
	for {
		resp, err := x.client.Get(fmt.Sprintf("%s/sse?ms=%d", x.url, ms))
		if err != nil {
			time.Sleep(time.Second)
			continue
		}
		truth.Opened("ticker")
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
		}
		resp.Body.Close()
		truth.Closed("ticker")
	}
}

func (x *exchange) history() {
	for {
		resp, err := x.client.Get(x.url + "/drip?bps=8000&n=60000")
		if err != nil {
			time.Sleep(time.Second)
			continue
		}
		truth.Opened("history")
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		truth.Closed("history")
	}
}

func (x *exchange) isOpen(fixed bool) bool {
	resp, err := x.client.Get(x.url + "/sse?ms=3600000") // LEAK: http-body main.(*exchange).isOpen
	if err != nil {
		return false
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	first, err := bufio.NewReader(resp.Body).ReadString('\n')
	return err == nil && first == "event: tick\n"
}

func main() {
	program := harness.Start()
	x := &exchange{program.Peer, &http.Client{}}
	for i := range 10 {
		go x.ticker(100 + 300*i)
	}
	for range 3 {
		go x.history()
	}
	program.Ready()
	program.Every(func(int) { x.isOpen(program.Fixed) })
}
