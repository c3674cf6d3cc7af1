package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func registerDeferred() {
	for name, f := range map[string]any{
		"deferClose": deferClose, "deferFunc": deferFunc, "deferLoop": deferLoop, "deferEndless": deferEndless,
		"deferEarlier": deferEarlier, "deferMethodValue": deferMethodValue, "deferMany": deferMany,
		"deferInLoopBody": deferInLoopBody, "deferAfterStatus": deferAfterStatus, "deferRecover": deferRecover,
		"deferArgument": deferArgument, "deferInIf": deferInIf, "methodValue": methodValue, "deferBodyVar": deferBodyVar,
		"deferTwo": deferTwo, "deferIfAsked": deferIfAsked(&asking{}),
	} {
		shapes[name] = f
	}
}

type asking struct {
	always bool
	calls  int
}

// The compiler keeps the bits of the defers that are due in the bool itself: `CX = a.always; CX |= 2`.
//
// want: sometimes
func (a *asking) fetch(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	if a.always {
		defer resp.Body.Close()
	}
	if resp.StatusCode != 200 {
		return nil, fmt.Errorf("status %d", resp.StatusCode) // leaks here
	}
	defer resp.Body.Close()
	a.calls++
	return io.ReadAll(resp.Body)
}

func deferIfAsked(a *asking) func(url string) ([]byte, error) { return a.fetch }

// want: closed
func deferClose(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// want: closed
func deferFunc(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}()
	if resp.StatusCode != 200 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// want: closed
func deferLoop(urls []string) error {
	for _, url := range urls {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
	}
	return nil
}

// want: never
func deferEndless(urls chan string) {
	for {
		resp, err := client.Get(<-urls)
		if err != nil {
			continue
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
	}
}

// want: closed
func deferEarlier(url string) (err error) {
	var resp *http.Response
	defer func() {
		if resp != nil {
			resp.Body.Close()
		}
	}()
	resp, err = client.Get(url)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// want: closed
func deferMethodValue(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	done := resp.Body.Close
	defer done()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// want: closed
func methodValue(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	return finish(resp.Body.Close, resp.StatusCode)
}

//go:noinline
func finish(done func() error, status int) error {
	if err := done(); err != nil {
		return fmt.Errorf("status %d: %w", status, err)
	}
	return nil
}

// More defers than the compiler keeps open-coded.
//
// want: closed
func deferMany(url string, n int) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for i := 0; i < n; i++ {
		defer fmt.Fprintln(os.Stderr, i)
	}
	if n > 3 {
		return n, io.EOF
	}
	return resp.StatusCode, nil
}

// want: closed
func deferInLoopBody(urls []string) {
	for _, url := range urls {
		func() {
			resp, err := client.Get(url)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
		}()
	}
}

// want: sometimes
func deferAfterStatus(url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	if resp.StatusCode == 404 {
		return "", os.ErrNotExist // leaks here
	}
	if resp.StatusCode >= 500 {
		return "", fmt.Errorf("server: %s", resp.Status) // leaks here
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return string(data), err
}

// want: closed
func deferRecover(url string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
		}
	}()
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// want: closed
func deferArgument(url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func(body io.Closer) { closeQuietly(body) }(resp.Body)
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// want: closed
func deferInIf(url string) (data []byte) {
	if resp, err := client.Get(url); err == nil {
		defer resp.Body.Close()
		data, _ = io.ReadAll(resp.Body)
	}
	return data
}

// want: closed
func deferBodyVar(url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	body := resp.Body
	defer func() {
		if err := body.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return io.ReadAll(body)
}

// want: closed
func deferTwo(url, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(out, resp.Body)
	return err
}
