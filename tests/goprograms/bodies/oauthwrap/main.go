// An SDK turns answers outside 2xx into errors and forgets their bodies; its users cannot close what
// they never see.
package main

import (
	"errors"
	"io"
	"net/http"

	"example.com/goprograms/bodies/oauthwrap/api"
	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type repository struct{ Name string }

func list(session *api.Session) (names []string, err error) {
	for _, path := range []string{"/small", "/status/404", "/small?id=2"} {
		var r repository
		var apiErr *api.Error
		if err := session.Do(http.MethodGet, path, &r); errors.As(err, &apiErr) {
			continue // archived
		} else if err != nil {
			return nil, err
		}
		names = append(names, r.Name)
	}
	return names, nil
}

func avatar(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	truth.Opened("avatar")
	defer truth.Closed("avatar")
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func main() {
	program := harness.Start()
	session := &api.Session{Base: program.Peer, Token: "t0ken", Fixed: program.Fixed}
	program.Ready()
	program.Every(func(int) {
		list(session)
		avatar(program.Peer + "/large?n=2000")
	})
}
