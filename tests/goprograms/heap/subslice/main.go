// Sixteen bytes of every document are kept as its key: a subslice, which keeps the whole document.
package main

import (
	"bytes"
	"io"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type index struct {
	base  string
	keys  [][]byte
	fixed bool
}

func (x *index) add() error {
	resp, err := http.Get(x.base + "/large?n=60000")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	document, err := io.ReadAll(resp.Body) // LEAK: heap main.(*index).add
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	key := document[:16]
	if x.fixed {
		key = bytes.Clone(key)
		truth.Closed("guilty")
	}
	x.keys = append(x.keys, key)
	return nil
}

func (x *index) checksum() (sum byte, err error) {
	resp, err := http.Get(x.base + "/large?n=30000")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	document, err := io.ReadAll(resp.Body)
	for _, b := range document {
		sum += b
	}
	return sum, err
}

func main() {
	program := harness.Start()
	x := &index{base: program.Peer, fixed: program.Fixed}
	program.Ready()
	program.Every(func(int) {
		x.add()
		x.checksum()
	})
}
