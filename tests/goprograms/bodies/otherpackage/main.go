// The leak is in a package of its own, far from main, behind an interface.
package main

import (
	"context"
	"fmt"

	"example.com/goprograms/bodies/otherpackage/billing"
	"example.com/goprograms/internal/harness"
)

type biller interface {
	Charge(ctx context.Context, customer, cents string) error
	Refund(ctx context.Context, customer, cents string) error
}

type checkout struct{ biller }

func (c checkout) buy(i int) error {
	customer := fmt.Sprintf("customer-%d", i)
	if err := c.Charge(context.Background(), customer, "1299"); err != nil {
		return c.Refund(context.Background(), customer, "1")
	}
	return nil
}

func main() {
	program := harness.Start()
	shop := checkout{billing.NewService(program.Peer, program.Fixed)}
	program.Ready()
	program.Every(func(i int) { shop.buy(i) })
}
