// HTTP/1 over TLS: a licence check reads the first kilobyte of a document and is satisfied.
package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

var secure = &http.Client{
	Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSHandshakeTimeout: 10 * time.Second,
	},
}

func licensed(url string, fixed bool) bool {
	resp, err := secure.Get(url) // LEAK: http-body main.licensed
	if err != nil {
		return false
	}
	truth.Opened("guilty")
	if fixed {
		defer func() {
			resp.Body.Close()
			truth.Closed("guilty")
		}()
	}
	head := make([]byte, 1024)
	n, _ := io.ReadFull(resp.Body, head)
	return n == len(head) && resp.TLS != nil
}

func terms(url string) (text []byte, err error) {
	resp, err := secure.Get(url)
	if err != nil {
		return nil, err
	}
	truth.Opened("terms")
	defer func() {
		resp.Body.Close()
		truth.Closed("terms")
	}()
	return io.ReadAll(resp.Body)
}

func main() {
	program := harness.Start()
	base := program.Peers().TLS
	program.Ready()
	program.Every(func(int) {
		licensed(base+"/large?n=100000", program.Fixed)
		terms(base + "/large?n=2000")
	})
}
