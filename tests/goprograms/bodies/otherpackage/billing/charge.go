// Package billing charges customers through a payment provider.
package billing

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"example.com/goprograms/internal/truth"
)

// ErrDeclined is the provider's no.
var ErrDeclined = errors.New("billing: declined")

// Service charges customers.
type Service struct {
	provider string
	client   *http.Client
	fixed    bool
}

// NewService returns a service that talks to provider.
func NewService(provider string, fixed bool) *Service {
	return &Service{provider, &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, fixed}
}

// Charge takes cents from customer.
func (s *Service) Charge(ctx context.Context, customer, cents string) error {
	resp, err := s.post(ctx, "/small?status=402", url.Values{"customer": {customer}, "cents": {cents}}) // LEAK: http-body example.com/goprograms/bodies/otherpackage/billing.(*Service).Charge
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	switch resp.StatusCode {
	case http.StatusOK:
		resp.Body.Close()
		truth.Closed("guilty")
		return nil
	case http.StatusPaymentRequired:
		if s.fixed {
			resp.Body.Close()
			truth.Closed("guilty")
		}
		return ErrDeclined
	}
	return errors.New("billing: " + resp.Status)
}

// Refund gives them back.
func (s *Service) Refund(ctx context.Context, customer, cents string) error {
	resp, err := s.post(ctx, "/small", url.Values{"customer": {customer}, "cents": {cents}})
	if err != nil {
		return err
	}
	truth.Opened("refund")
	defer truth.Closed("refund")
	return resp.Body.Close()
}

func (s *Service) post(ctx context.Context, path string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.provider+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("shop", "s3cret")
	return s.client.Do(req)
}
