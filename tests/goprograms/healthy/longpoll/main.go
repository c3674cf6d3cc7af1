// HEALTHY: long polls: some wait for the head of the answer, some for its body.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type changes struct {
	Changes []string `json:"changes"`
}

func poll(client *http.Client, url string) (c changes, err error) {
	resp, err := client.Get(url)
	if err != nil {
		return c, err
	}
	truth.Opened("poll")
	defer truth.Closed("poll")
	defer resp.Body.Close()
	return c, json.NewDecoder(resp.Body).Decode(&c)
}

func main() {
	program := harness.Start()
	client := &http.Client{Timeout: time.Minute}
	for i := range 10 {
		url := fmt.Sprintf("%s/longpoll?ms=%d&late=%d", program.Peer, 1500+700*i, i%2)
		go func() {
			for {
				poll(client, url)
			}
		}()
	}
	program.Ready()
	select {}
}
