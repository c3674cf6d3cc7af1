// HEALTHY: bodies read to their end and never closed, which on HTTP/1 gives the connection back.
package main

import (
	"encoding/json"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func text(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	truth.Opened("text")
	all, err := io.ReadAll(resp.Body)
	truth.Closed("text") // by reaching its end
	return string(all), err
}

func product(url string) (p struct{ Name string }, err error) {
	resp, err := http.Get(url)
	if err != nil {
		return p, err
	}
	truth.Opened("product")
	err = json.NewDecoder(resp.Body).Decode(&p)
	io.Copy(io.Discard, resp.Body)
	truth.Closed("product")
	return p, err
}

func main() {
	program := harness.Start()
	program.Ready()
	program.Every(func(int) {
		text(program.Peer + "/large?n=20000")
		product(program.Peer + "/small")
	})
}
