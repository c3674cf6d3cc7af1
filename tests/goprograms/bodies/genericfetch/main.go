// A generic fetch of JSON that forgets the body of an answer it does not like.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type product struct{ Name string }

type warehouse struct{ Stock int }

type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

func fetch[T any](ctx context.Context, c *http.Client, url string, fixed bool) (*T, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req) // LEAK: http-body main.fetch[...]
	if err != nil {
		return nil, err
	}
	truth.Opened("guilty")
	if resp.StatusCode >= http.StatusBadRequest {
		if fixed {
			resp.Body.Close()
			truth.Closed("guilty")
		}
		return nil, statusError(resp.StatusCode)
	}
	defer truth.Closed("guilty")
	defer resp.Body.Close()
	value := new(T)
	if err := json.NewDecoder(resp.Body).Decode(value); err != nil {
		return nil, err
	}
	return value, nil
}

func exists[T any](ctx context.Context, c *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := c.Do(req)
	if err != nil {
		return false
	}
	truth.Opened("exists")
	defer truth.Closed("exists")
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(new(T)) == nil
}

func main() {
	program := harness.Start()
	ctx, client := context.Background(), &http.Client{}
	program.Ready()
	program.Every(func(i int) {
		fetch[product](ctx, client, program.Peer+"/small", program.Fixed)
		if i%2 == 0 {
			fetch[product](ctx, client, program.Peer+"/small?status=404", program.Fixed)
		} else {
			fetch[warehouse](ctx, client, program.Peer+"/status/410", program.Fixed)
		}
		exists[warehouse](ctx, client, program.Peer+"/small")
	})
}
