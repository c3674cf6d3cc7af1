// HEALTHY: does next to nothing.
package main

import (
	"time"

	"example.com/goprograms/internal/harness"
)

func main() {
	program := harness.Start()
	program.Ready()
	for {
		time.Sleep(time.Minute)
	}
}
