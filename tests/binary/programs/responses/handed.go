package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

func registerHanded() {
	for name, f := range map[string]any{
		"useFetch": useFetch, "useFetchChecked": useFetchChecked, "useBody": useBody, "useOuter": useOuter,
		"useAPI": useAPI, "useGeneric": useGeneric, "useCloser": useCloser, "useResult": useResult,
		"useNamed": useNamed, "useTwo": useTwo, "useLimited": useLimited, "funcResult": funcResult(client),
		"dropFetch": dropFetch, "useThin": useThin, "useThinAgain": useThinAgain, "useFetchOrClose": useFetchOrClose,
		"useRetrying": useRetrying, "useRetryingNever": useRetryingNever,
		"inError": inError, "checked": checked,
	} {
		shapes[name] = f
	}
}

// want: handed
//
//go:noinline
func fetch(url string) (*http.Response, error) { return client.Get(url) }

// want: handed
//
//go:noinline
func fetchChecked(url string) (*http.Response, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	return resp, nil
}

// want: sometimes
//
//go:noinline
func fetchLeaky(url string) (*http.Response, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != 200 {
		return nil, errors.New(resp.Status) // leaks here
	}
	return resp, nil
}

// want: handed
//
//go:noinline
func fetchOrClose(url string) (*http.Response, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != 200 {
		resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp, nil
}

// want: handed
//
//go:noinline
func body(url string) (io.ReadCloser, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// want: handed
//
//go:noinline
func statusAndResponse(url string) (int, *http.Response, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, resp, nil
}

// want: handed
//
//go:noinline
func named(url string) (resp *http.Response, err error) {
	resp, err = client.Get(url)
	if err != nil {
		err = fmt.Errorf("named: %w", err)
	}
	return
}

type api struct {
	http *http.Client
	base string
}

// want: handed
//
//go:noinline
func (a *api) do(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", a.base+path, nil)
	if err != nil {
		return nil, err
	}
	return a.http.Do(req)
}

//go:noinline
func (a *api) get(path string) (*http.Response, error) {
	return a.do(context.Background(), path)
}

//go:noinline
func request[T any](url string, _ T) (*http.Response, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

type result struct {
	url  string
	resp *http.Response
}

// want: handed
//
//go:noinline
func wrapped(url string) (*result, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	return &result{url: url, resp: resp}, nil
}

// want: handed
//
//go:noinline
func closer(url string) (func() error, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	return func() error { return resp.Body.Close() }, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// want: handed
//
//go:noinline
func limit(url string) (io.ReadCloser, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	return limited{io.LimitReader(resp.Body, 1<<20), resp.Body}, nil
}

// Small enough to be inlined into its callers.
func thin(url string) (*http.Response, error) { return client.Get(url) }

//go:noinline
func useThin(url string) (int, error) {
	resp, err := thin(url)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != 200 {
		return 0, errors.New(resp.Status) // leaks here
	}
	return 200, resp.Body.Close()
}

//go:noinline
func useThinAgain(url string) (*http.Response, error) {
	return thin(url)
}

func funcResult(c *http.Client) func(string) (*http.Response, error) {
	return func(url string) (*http.Response, error) {
		return c.Get(url)
	}
}

func useFetch(url string) int {
	resp, err := fetch(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func useFetchChecked(url string) (int, error) {
	resp, err := fetchChecked(url)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != 200 {
		return 0, errors.New(resp.Status)
	}
	return resp.StatusCode, resp.Body.Close()
}

func useFetchOrClose(url string) ([]byte, error) {
	resp, err := fetchOrClose(url)
	if err != nil {
		return nil, err
	}
	if resp, err = fetchLeaky(url); err != nil {
		return nil, err
	}
	return io.ReadAll(resp.Body)
}

func dropFetch(url string) error {
	_, err := fetch(url)
	return err
}

func useBody(url string) ([]byte, error) {
	b, err := body(url)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return io.ReadAll(b)
}

//go:noinline
func outer(url string) (*http.Response, error) {
	resp, err := fetchChecked(url)
	if err != nil {
		return nil, fmt.Errorf("outer: %w", err)
	}
	return resp, nil
}

func useOuter(url string) ([]byte, error) {
	resp, err := outer(url)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(resp.Body)
}

func useAPI(url string) (int, error) {
	a := &api{http: client, base: url}
	resp, err := a.get("/users")
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

func useGeneric(url string) (int, error) {
	resp, err := request(url, 12)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

func useCloser(url string) error {
	done, err := closer(url)
	if err != nil {
		return err
	}
	return done()
}

func useResult(url string) int {
	r, err := wrapped(url)
	if err != nil {
		return 0
	}
	defer r.resp.Body.Close()
	return r.resp.StatusCode
}

func useNamed(url string) int {
	resp, err := named(url)
	if err != nil {
		return 0
	}
	return resp.StatusCode
}

func useTwo(url string) int {
	status, resp, err := statusAndResponse(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return status
}

func useLimited(url string) ([]byte, error) {
	r, err := limit(url)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

var checkRetry = func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }

// want: unknown
//
//go:noinline
func retrying(url string) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		resp, err := client.Get(url)
		if !checkRetry(resp, err) || attempt == 3 {
			return resp, err
		}
		if err == nil {
			resp.Body.Close()
		}
	}
}

//go:noinline
func useRetrying(url string) (int, error) {
	resp, err := retrying(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

//go:noinline
func useRetryingNever(url string) (int, error) {
	resp, err := retrying(url)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

type statusError struct {
	op   string
	resp *http.Response
}

func (e *statusError) Error() string { return e.op + ": " + e.resp.Status }

// want: sometimes
//
//go:noinline
func inError(url string) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 400 {
		return 0, &statusError{"get", resp} // leaks here
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

//go:noinline
func refused(resp *http.Response) error {
	if resp.StatusCode >= 400 {
		return &statusError{"check", resp}
	}
	return nil
}

// want: sometimes
//
//go:noinline
func checked(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if err := refused(resp); err != nil {
		return nil, err // leaks here
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
