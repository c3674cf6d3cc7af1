// A journal of everything a sensor said, generic, in a package of its own.
package main

import (
	"example.com/goprograms/heap/listgrowth/journal"
	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type reading struct {
	sensor  int
	samples [4096]float64
}

type recorder struct {
	journal journal.Journal[reading]
	last    float64
}

func (r *recorder) record(sensor int) {
	var now reading
	now.sensor = sensor
	for i := range now.samples {
		now.samples[i] = float64(i * sensor)
	}
	truth.Opened("guilty")
	for range r.journal.Add(now) { // LEAK-ALSO: main.(*recorder).record
		truth.Closed("guilty")
	}
}

func (r *recorder) average(n int) {
	window := make([]float64, n)
	for i := range window {
		window[i] = float64(i)
		r.last += window[i] / float64(n)
	}
}

func main() {
	program := harness.Start()
	r := &recorder{}
	if program.Fixed {
		r.journal.Keep = 10
	}
	program.Ready()
	program.Every(func(i int) {
		r.record(i)
		r.average(4096)
	})
}
