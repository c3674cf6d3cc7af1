// A retry loop that overwrites resp: only the last answer is closed.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

const attempts = 4

type rates struct {
	Price int `json:"price"`
}

func fetchRates(c *http.Client, url string, fixed bool) (r rates, err error) {
	var resp *http.Response
	for attempt := 1; attempt <= attempts; attempt++ {
		resp, err = c.Get(url) // LEAK: http-body main.fetchRates
		if err != nil {
			return
		}
		truth.Opened("guilty")
		if resp.StatusCode < 500 {
			break
		}
		if fixed && attempt < attempts {
			resp.Body.Close()
			truth.Closed("guilty")
		}
		time.Sleep(time.Millisecond << attempt)
	}
	defer truth.Closed("guilty")
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&r)
	return
}

func fetchCurrency(c *http.Client, url string) (name string, err error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	truth.Opened("currency")
	defer truth.Closed("currency")
	defer resp.Body.Close()
	var currency struct{ Name string }
	err = json.NewDecoder(resp.Body).Decode(&currency)
	return currency.Name, err
}

func main() {
	program := harness.Start()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	flaky := fmt.Sprintf("%s/flaky?key=%d", program.Peer, os.Getpid())
	program.Ready()
	program.Every(func(int) {
		fetchRates(client, flaky, program.Fixed)
		fetchCurrency(client, program.Peer+"/small")
	})
}
