// Every upload is to be forgotten in an hour, by a timer that nobody stops when the upload is done
// sooner. Until then its function holds the data.
package main

import (
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type store struct {
	expiry time.Duration
	drop   func(upload []byte)
}

//go:noinline
func (s *store) receive(size int) *time.Timer {
	upload := make([]byte, size) // LEAK: heap main.(*store).receive
	for i := range upload {
		upload[i] = byte(i)
	}
	truth.Opened("guilty")
	return time.AfterFunc(s.expiry, func() { s.drop(upload) })
}

func (s *store) finish(expiry *time.Timer, fixed bool) {
	if fixed {
		expiry.Stop()
		truth.Closed("guilty")
	}
}

//go:noinline
func scratch(size int) (sum int) {
	for _, b := range make([]byte, size) {
		sum += int(b)
	}
	return sum
}

func main() {
	program := harness.Start()
	s := &store{expiry: time.Hour, drop: func(upload []byte) { clear(upload) }}
	program.Ready()
	program.Every(func(int) {
		s.finish(s.receive(50_000), program.Fixed)
		scratch(100_000)
	})
}
