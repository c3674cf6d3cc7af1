// withResponse was meant to take the Close off everybody's hands, and does, unless the callback fails.
package main

import (
	"errors"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

var errEmpty = errors.New("nothing to see")

func withResponse(url string, fixed bool, use func(*http.Response) error) error {
	resp, err := http.Get(url) // LEAK: http-body main.withResponse
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
		return use(resp)
	}
	if err := use(resp); err != nil {
		return err
	}
	truth.Closed("guilty")
	return resp.Body.Close()
}

func main() {
	program := harness.Start()
	program.Ready()
	program.Every(func(int) {
		withResponse(program.Peer+"/small", program.Fixed, func(resp *http.Response) error {
			_, err := io.Copy(io.Discard, resp.Body)
			return err
		})
		withResponse(program.Peer+"/status/410", program.Fixed, func(resp *http.Response) error {
			if resp.StatusCode == http.StatusGone {
				return errEmpty
			}
			return nil
		})
	})
}
