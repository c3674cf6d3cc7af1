package packages

import (
	"io"
	"net/http"
)

func finish(resp *http.Response) {
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func drain(resp *http.Response) {
	io.Copy(io.Discard, resp.Body)
}

// finishIfOK is line 19.

func finishIfOK(resp *http.Response) {
	if resp.StatusCode != 200 {
		return
	}
	resp.Body.Close()
}

func (c *Client) check(resp *http.Response) error {
	defer resp.Body.Close()
	return nil
}

func (c *Client) fetch() (*http.Response, error) {
	return http.Get(c.base + "/other")
}

type Other struct{}

func (o *Other) check(resp *http.Response) error {
	return nil
}
