// Storefront is the service to investigate: a small shop that asks its warehouse for stock, prices
// and the catalogue. --leak chooses what it forgets to give back, --fixed takes the repaired path.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"time"

	"example.com/shop/internal/inventory"
	"example.com/shop/internal/lifeline"
)

func main() {
	warehouse := flag.String("warehouse", "", "base `URL` of the warehouse")
	leak := flag.String("leak", "body", "what to leak: body, goroutine, fd, heap or none")
	rate := flag.Float64("rate", 20, "leaks per `second`")
	fixed := flag.Bool("fixed", false, "take the repaired path")
	address := flag.String("pprof", "127.0.0.1:0", "serve net/http/pprof at this `address`")
	flag.Parse()
	log.SetFlags(0)
	if *warehouse == "" || *rate <= 0 {
		log.Fatal("storefront: --warehouse URL is missing, or --rate is not positive")
	}
	lifeline.Hold()

	client := inventory.New(*warehouse)
	client.Fixed = *fixed
	shop, err := newShop(client, *fixed)
	if err != nil {
		log.Fatal(err)
	}
	step, ok := shop.leaks()[*leak]
	if !ok {
		log.Fatalf("storefront: nothing to leak is called %q", *leak)
	}

	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(listener, nil)
	go shop.browse(100 * time.Millisecond)
	if err := lifeline.Ready(map[string]any{"pprof": listener.Addr().String(), "leak": *leak, "fixed": *fixed}); err != nil {
		os.Exit(1)
	}
	every(time.Duration(float64(time.Second) / *rate), step)
}

// every calls step once an interval, for ever; when it falls behind it does not catch up in a burst.
func every(interval time.Duration, step func(i int)) {
	next := time.Now()
	for i := 0; ; i++ {
		step(i)
		next = next.Add(interval)
		if pause := time.Until(next); pause > 0 {
			time.Sleep(pause)
		} else {
			next = time.Now()
		}
	}
}
