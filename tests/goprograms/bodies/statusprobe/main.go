// A health check that looks at the status and at nothing else.
package main

import (
	"io"
	"net/http"
	"sync/atomic"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type dependency struct {
	name string
	url  string
	up   atomic.Bool
}

func (d *dependency) check() {
	resp, err := http.Get(d.url) // LEAK: http-body main.(*dependency).check
	if err == nil {
		truth.Opened("guilty")
	}
	d.up.Store(err == nil && resp.StatusCode == http.StatusOK)
}

func (d *dependency) checkFixed() {
	resp, err := http.Get(d.url)
	if err != nil {
		d.up.Store(false)
		return
	}
	truth.Opened("fixed")
	defer truth.Closed("fixed")
	defer resp.Body.Close()
	d.up.Store(resp.StatusCode == http.StatusOK)
}

func version(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return "unknown"
	}
	truth.Opened("version")
	defer truth.Closed("version")
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

func main() {
	program := harness.Start()
	dependencies := []*dependency{
		{name: "stock", url: program.Peer + "/small?id=1"},
		{name: "mail", url: program.Peer + "/status/503"},
	}
	program.Ready()
	program.Every(func(i int) {
		d := dependencies[i%len(dependencies)]
		if program.Fixed {
			d.checkFixed()
		} else {
			d.check()
		}
		version(program.Peer + "/small?id=2")
	})
}
