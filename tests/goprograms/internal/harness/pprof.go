//go:build !nopprof

package harness

import (
	"net"
	"net/http"
	_ "net/http/pprof" // on http.DefaultServeMux, as most services do
)

func servePprof(address string) (string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	go http.Serve(listener, nil)
	return listener.Addr().String(), nil
}
