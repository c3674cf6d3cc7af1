// HEALTHY: eight downloads at a time, each of many seconds.
package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func download(client *http.Client, url string) (int64, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	truth.Opened("download")
	defer truth.Closed("download")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func main() {
	program := harness.Start()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 32}}
	for i := range 8 {
		go func() {
			time.Sleep(time.Duration(i) * time.Second)
			for {
				download(client, fmt.Sprintf("%s/drip?bps=20000&n=%d", program.Peer, 60_000+40_000*i))
			}
		}()
	}
	program.Ready()
	select {}
}
