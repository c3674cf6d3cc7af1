// Two jobs use the same thin API client, which hands its response through two layers. One of them
// only looks at a header and forgets the body.
package main

import (
	"context"
	"io"
	"log"
	"time"

	"example.com/goprograms/bodies/thinwrapper/apiclient"
	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func syncPrices(ctx context.Context, api *apiclient.Client) (int64, error) {
	resp, err := api.Get(ctx, "/large?n=20000")
	if err != nil {
		return 0, err
	}
	truth.Opened("prices")
	defer truth.Closed("prices")
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}

func inventoryChanged(ctx context.Context, api *apiclient.Client, since string, fixed bool) (bool, error) {
	resp, err := api.Get(ctx, "/large?n=30000") // LEAK: http-body main.inventoryChanged
	if err != nil {
		return false, err
	}
	truth.Opened("guilty")
	if fixed {
		defer truth.Closed("guilty")
		defer resp.Body.Close()
	}
	return resp.Header.Get("Last-Modified") != since, nil
}

func main() {
	program := harness.Start()
	api := apiclient.New(program.Peer)
	ctx := context.Background()
	program.Ready()

	go func() {
		for range time.Tick(program.Interval() / 2) {
			if _, err := syncPrices(ctx, api); err != nil {
				log.Print(err)
			}
		}
	}()
	program.Every(func(int) {
		if _, err := inventoryChanged(ctx, api, "yesterday", program.Fixed); err != nil {
			log.Print(err)
		}
	})
}
