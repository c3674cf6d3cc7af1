// A helper decodes and closes. When decoding fails it returns first.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type article struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Price int    `json:"price"`
}

// decode reads one value and closes body.
func decode[T any](body io.ReadCloser, fixed bool) (value T, err error) {
	if err = json.NewDecoder(body).Decode(&value); err != nil {
		if fixed {
			body.Close()
			truth.Closed("guilty")
		}
		return value, fmt.Errorf("decode %T: %w", value, err)
	}
	body.Close()
	truth.Closed("guilty")
	return value, nil
}

type feed struct {
	urls  []string
	fixed bool
}

func (f *feed) latest(i int) (article, error) {
	resp, err := http.Get(f.urls[i%len(f.urls)]) // LEAK: http-body main.(*feed).latest
	if err != nil {
		return article{}, err
	}
	truth.Opened("guilty")
	return decode[article](resp.Body, f.fixed)
}

func (f *feed) headline() (map[string]any, error) {
	resp, err := http.Get(f.urls[0])
	if err != nil {
		return nil, err
	}
	truth.Opened("headline")
	defer truth.Closed("headline")
	defer resp.Body.Close()
	var headline map[string]any
	return headline, json.NewDecoder(resp.Body).Decode(&headline)
}

func main() {
	program := harness.Start()
	f := &feed{urls: []string{program.Peer + "/small", program.Peer + "/badjson"}, fixed: program.Fixed}
	program.Ready()
	program.Every(func(i int) {
		f.latest(0)
		f.latest(1)
		f.headline()
	})
}
