// HEALTHY: twelve event streams that are open for ever, and read.
package main

import (
	"bufio"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func follow(url string, events *atomic.Int64) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	truth.Opened("follow")
	defer truth.Closed("follow")
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: ") {
			events.Add(1)
		}
	}
	return lines.Err()
}

func main() {
	program := harness.Start()
	var events atomic.Int64
	for range 12 {
		go func() {
			for {
				follow(program.Peer+"/sse?ms=150", &events)
				time.Sleep(time.Second)
			}
		}()
	}
	program.Ready()
	select {}
}
