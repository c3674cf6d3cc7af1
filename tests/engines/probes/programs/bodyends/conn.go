//go:build go1.26

package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// askConn asks on a connection of its own and leaves the body unread.
func askConn(a *asker) error {
	base, err := url.Parse(a.base)
	if err != nil {
		return err
	}
	conn, err := a.client.Transport.(*http.Transport).NewClientConn(context.Background(), base.Scheme, base.Host)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodGet, a.base+"/length", nil)
	if err != nil {
		return err
	}
	resp, err := conn.RoundTrip(req)
	if err != nil {
		return err
	}
	kept = append(kept, conn)
	_, err = io.ReadFull(resp.Body, make([]byte, 9))
	kept = append(kept, resp.Body)
	return err
}
