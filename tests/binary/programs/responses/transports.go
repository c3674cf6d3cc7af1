package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
)

func registerTransports() {
	proxy := &httputil.ReverseProxy{ModifyResponse: modifyDrops}
	for name, f := range map[string]any{
		"replaces": replacing{}, "replacesClosing": replacingClosing{}, "counting": countingTransport{}, "proxy": proxy,
		"modifyCloses": modifyCloses, "modifyKeeps": modifyKeeps, "dump": dump,
	} {
		shapes[name] = f
	}
}

type replacing struct{ next *http.Transport }

// want: never
func (t replacing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err // leaks here
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, nil // leaks here
}

type replacingClosing struct{ next *http.Transport }

// want: closed
func (t replacingClosing) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, nil
}

type counted struct {
	io.ReadCloser
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

type countingTransport struct{ next *http.Transport }

// want: handed
func (t countingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &counted{ReadCloser: resp.Body}
	return resp, nil
}

// argument: drops
//
//go:noinline
func modifyDrops(resp *http.Response) error {
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(bytes.ToUpper(data)))
	return nil
}

// argument: closes
//
//go:noinline
func modifyCloses(resp *http.Response) error {
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(bytes.ToUpper(data)))
	return nil
}

// argument: keeps
//
//go:noinline
func modifyKeeps(resp *http.Response) error {
	resp.Header.Set("X-Seen", "1")
	return nil
}

// want: closed
func dump(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return httputil.DumpResponse(resp, true)
}
