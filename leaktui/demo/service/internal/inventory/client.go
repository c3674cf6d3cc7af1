// Package inventory is the storefront's client for the warehouse.
package inventory

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Client talks to one warehouse. Fixed says whether Stock closes every body.
type Client struct {
	base  string
	http  *http.Client
	Fixed bool
}

// Stock is what the warehouse has of an article.
type Stock struct {
	Article int `json:"article"`
	Stock   int `json:"stock"`
}

// New returns a client for the warehouse at base.
func New(base string) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}
	return &Client{base: base, http: &http.Client{Transport: transport}}
}

// Stock asks for one article. This is the leak of --leak body: a status other than 200 returns
// before the deferred Close is even scheduled.
func (c *Client) Stock(ctx context.Context, article int) (*Stock, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/stock/%d", c.base, article), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req) // DEMO: body inventory.(*Client).Stock
	if err != nil {
		return nil, fmt.Errorf("stock of %d: %w", article, err)
	}
	if c.Fixed {
		defer resp.Body.Close()
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("stock of %d: %s", article, resp.Status)
	}
	defer resp.Body.Close()

	var stock Stock
	if err := json.NewDecoder(resp.Body).Decode(&stock); err != nil {
		return nil, fmt.Errorf("stock of %d: %w", article, err)
	}
	return &stock, nil
}

// Price asks for one price; patience bounds how long.
func (c *Client) Price(ctx context.Context, article int, patience time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/price/%d", c.base, article), nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("price of %d: %w", article, err)
	}
	defer resp.Body.Close()
	var price struct{ Cents int }
	if err := json.NewDecoder(resp.Body).Decode(&price); err != nil {
		return 0, fmt.Errorf("price of %d: %w", article, err)
	}
	return price.Cents, nil
}

// Catalogue reads the whole list of articles.
func (c *Client) Catalogue(ctx context.Context) ([][]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/catalogue", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	defer resp.Body.Close()
	return csv.NewReader(resp.Body).ReadAll()
}
