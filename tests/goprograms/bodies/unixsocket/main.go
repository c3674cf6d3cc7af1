// A client for a daemon on a unix socket, as container tools have it. Asking whether something is there
// reads the status and leaves the body.
package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type daemon struct{ http.Client }

func connect(socket string) *daemon {
	return &daemon{http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}}
}

func (d *daemon) exists(name string, fixed bool) bool {
	resp, err := d.Get("http://daemon/small?status=404&name=" + name) // LEAK: http-body main.(*daemon).exists
	if err != nil {
		return false
	}
	truth.Opened("guilty")
	if fixed {
		resp.Body.Close()
		truth.Closed("guilty")
	}
	return resp.StatusCode != http.StatusNotFound
}

func (d *daemon) inspect(name string) (state map[string]any, err error) {
	resp, err := d.Get("http://daemon/small?name=" + name)
	if err != nil {
		return nil, err
	}
	truth.Opened("inspect")
	defer truth.Closed("inspect")
	defer resp.Body.Close()
	return state, json.NewDecoder(resp.Body).Decode(&state)
}

func main() {
	program := harness.Start()
	d := connect(program.Peers().Unix)
	program.Ready()
	program.Every(func(int) {
		d.exists("web", program.Fixed)
		d.inspect("db")
	})
}
