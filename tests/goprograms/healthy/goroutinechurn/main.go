// HEALTHY: thousands of short-lived goroutines, in bursts, and none left over.
package main

import (
	"context"
	"sync"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

func burst(ctx context.Context, n int) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		truth.Opened("burst")
		go func() {
			defer wg.Done()
			defer truth.Closed("burst")
			select {
			case <-time.After(time.Duration(i%50) * 4 * time.Millisecond):
			case <-ctx.Done():
			}
		}()
	}
	wg.Wait()
}

func main() {
	program := harness.Start()
	program.Ready()
	program.Every(func(i int) {
		ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
		defer cancel()
		go burst(ctx, 30)
		if i%40 == 0 {
			burst(ctx, 400)
		}
	})
}
