// A gateway on httputil.ReverseProxy whose ModifyResponse answers with a redacted body and drops the
// real one. Upstream requests are detached from the visitor's context, so that a visitor who leaves does
// not abort them; so nothing else ends them either.
package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type detached struct{ next http.RoundTripper }

func (d detached) RoundTrip(req *http.Request) (*http.Response, error) {
	return d.next.RoundTrip(req.WithContext(context.WithoutCancel(req.Context()))) // LEAK-ALSO: main.detached.RoundTrip
}

type gateway struct {
	proxy *httputil.ReverseProxy
	fixed bool
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Cookie")
	g.proxy.ServeHTTP(w, r) // LEAK: http-body main.(*gateway).ServeHTTP
}

func (g *gateway) redact(resp *http.Response) error {
	if resp.ContentLength < 1000 {
		return nil // nothing in there
	}
	truth.Opened("guilty")
	if g.fixed {
		resp.Body.Close()
		truth.Closed("guilty")
	}
	const text = "[redacted]\n"
	resp.Body = io.NopCloser(strings.NewReader(text)) // LEAK-ALSO: main.(*gateway).redact
	resp.ContentLength = int64(len(text))
	resp.Header.Set("Content-Length", "11")
	return nil
}

func main() {
	program := harness.Start()
	upstream, err := url.Parse(program.Peer)
	harness.Must(err)
	g := &gateway{fixed: program.Fixed, proxy: httputil.NewSingleHostReverseProxy(upstream)}
	g.proxy.Transport = detached{http.DefaultTransport}
	g.proxy.ModifyResponse = g.redact
	program.Serve(g, "/large")
	program.Ready()
	client := &http.Client{}
	program.Every(func(int) { // the gateway's own check of its upstream
		resp, err := client.Get(program.Peer + "/small")
		if err != nil {
			return
		}
		truth.Opened("check")
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		truth.Closed("check")
	})
}
