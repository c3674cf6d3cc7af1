// HEALTHY: much garbage, a live heap that stays where it is.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"example.com/goprograms/internal/harness"
)

type invoice struct {
	Number int
	Lines  []string
	Notes  map[string]string
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

//go:noinline
func render(n int) int {
	in := invoice{Number: n, Notes: map[string]string{}}
	for i := range 200 {
		in.Lines = append(in.Lines, fmt.Sprintf("line %d of invoice %d", i, n))
		in.Notes[fmt.Sprint(i)] = in.Lines[i]
	}
	buffer := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	json.NewEncoder(buffer).Encode(in)
	return buffer.Len()
}

func main() {
	program := harness.Start()
	ring := make([][]byte, 64) // always the 64 newest
	for i := range ring {
		ring[i] = make([]byte, 256<<10)
	}
	program.Ready()
	program.Every(func(i int) {
		for range 10 {
			render(i)
		}
		ring[i%len(ring)] = make([]byte, 256<<10)
	})
}
