// A pipe per log capture. The writing end is closed, the reading end is kept with the capture.
package main

import (
	"fmt"
	"io"
	"os"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type capture struct {
	name   string
	reader *os.File
	text   []byte
}

var captures []*capture

func captureOutput(name string, run func(io.Writer), fixed bool) (*capture, error) {
	r, w, err := os.Pipe() // LEAK: fd main.captureOutput
	if err != nil {
		return nil, err
	}
	truth.Opened("guilty")
	run(w)
	w.Close()
	c := &capture{name: name, reader: r}
	if c.text, err = io.ReadAll(r); err != nil {
		return nil, err
	}
	if fixed {
		r.Close()
		truth.Closed("guilty")
	}
	captures = append(captures, c)
	return c, nil
}

func count(run func(io.Writer)) (n int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	truth.Opened("count")
	defer truth.Closed("count")
	defer r.Close()
	run(w)
	w.Close()
	text, err := io.ReadAll(r)
	return len(text), err
}

func main() {
	program := harness.Start()
	hello := func(w io.Writer) { fmt.Fprintln(w, "hello") }
	program.Ready()
	program.Every(func(i int) {
		captureOutput(fmt.Sprint("job ", i), hello, program.Fixed)
		count(hello)
	})
}
