// A link resolver stops at the first redirect (http.ErrUseLastResponse) and takes its Location. That
// response has a body too.
package main

import (
	"errors"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type resolver struct{ *http.Client }

var errNoRedirect = errors.New("resolve: not a redirect")

func newResolver() resolver {
	return resolver{&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

func (r resolver) resolve(short string, fixed bool) (string, error) {
	resp, err := r.Get(short) // LEAK: http-body main.resolver.resolve
	if err != nil {
		return "", err
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	if resp.StatusCode/100 != 3 {
		return "", errNoRedirect
	}
	target, err := resp.Location()
	if err != nil {
		return "", err
	}
	return target.String(), nil
}

func (r resolver) title(url string) (string, error) {
	resp, err := http.Get(url) // follows redirects; the client closes those bodies itself
	if err != nil {
		return "", err
	}
	truth.Opened("title")
	defer truth.Closed("title")
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func main() {
	program := harness.Start()
	r := newResolver()
	program.Ready()
	program.Every(func(int) {
		r.resolve(program.Peer+"/redirect", program.Fixed)
		r.title(program.Peer + "/redirect")
	})
}
