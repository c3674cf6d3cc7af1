// Package api calls an API with a bearer token and decodes its JSON, the way many SDKs do.
package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"example.com/goprograms/internal/truth"
)

// Error is an answer outside 2xx.
type Error struct {
	StatusCode int
	Path       string
}

func (e *Error) Error() string { return fmt.Sprintf("api: %s: %d", e.Path, e.StatusCode) }

// A Session calls one API. Fixed closes the bodies of errors as well.
type Session struct {
	Base, Token string
	Fixed       bool
}

// Do fills out from the answer; callers never see the response.
func (s *Session) Do(method, path string, out any) error {
	req, err := http.NewRequest(method, s.Base+path, nil)
	if err != nil {
		return err
	}
	resp, err := s.roundTrip(req) // LEAK: http-body example.com/goprograms/bodies/oauthwrap/api.(*Session).Do
	if err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		if s.Fixed {
			s.close(resp)
		}
		return &Error{resp.StatusCode, path}
	}
	defer s.close(resp)
	return json.NewDecoder(resp.Body).Decode(out)
}

func (s *Session) roundTrip(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		truth.Opened("guilty")
	}
	return resp, err
}

func (s *Session) close(resp *http.Response) {
	resp.Body.Close()
	truth.Closed("guilty")
}
