// An order import that closes the body on every path it thought of: not on the one where a record is
// well-formed and wrong.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type order struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Price int    `json:"price"`
}

func (o order) validate() error {
	if o.Price <= 0 {
		return fmt.Errorf("order %d: price %d", o.ID, o.Price)
	}
	return nil
}

var errUpstream = errors.New("orders: upstream is unwell")

type importer struct {
	*http.Client
	source string
	fixed  bool
}

func (im *importer) first(ctx context.Context, query string) (order, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", im.source+"/ndjson?"+query, http.NoBody)
	if err != nil {
		return order{}, err
	}
	resp, err := im.Do(req) // LEAK: http-body main.(*importer).first
	if err != nil {
		return order{}, err
	}
	truth.Opened("guilty")
	if resp.StatusCode >= 500 {
		im.discard(resp)
		return order{}, errUpstream
	}
	var o order
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil {
		im.discard(resp)
		return order{}, err
	}
	if err := o.validate(); err != nil {
		if im.fixed {
			im.discard(resp)
		}
		return order{}, err
	}
	im.discard(resp)
	return o, nil
}

func (im *importer) discard(resp *http.Response) {
	resp.Body.Close()
	truth.Closed("guilty")
}

func main() {
	program := harness.Start()
	im := &importer{Client: &http.Client{}, source: program.Peer, fixed: program.Fixed}
	ctx := context.Background()
	program.Ready()
	program.Every(func(i int) {
		im.first(ctx, "n=2000")
		im.first(ctx, "n=2000&bad=0")
		im.first(ctx, "n=2000")
	})
}
