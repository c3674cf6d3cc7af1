// A poller that never returns: its deferred Closes pile up in an endless loop.
package main

import (
	"bufio"
	"log"
	"net/http"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type poller struct {
	url      string
	interval time.Duration
	last     string
}

func (p *poller) run() {
	for {
		resp, err := http.Get(p.url) // LEAK: http-body main.(*poller).run
		if err != nil {
			log.Printf("poll: %v", err)
			time.Sleep(time.Second)
			continue
		}
		truth.Opened("guilty")
		defer truth.Closed("guilty")
		defer resp.Body.Close()

		if line, err := bufio.NewReaderSize(resp.Body, 256).ReadString('\n'); err == nil {
			p.last = line
		}
		time.Sleep(p.interval)
	}
}

// runFixed is what the fix looked like: one turn of the loop is a function.
func (p *poller) runFixed() {
	for {
		if err := p.turn(); err != nil {
			log.Printf("poll: %v", err)
		}
		time.Sleep(p.interval)
	}
}

func (p *poller) turn() error {
	resp, err := http.Get(p.url)
	if err != nil {
		return err
	}
	truth.Opened("turn")
	defer truth.Closed("turn")
	defer resp.Body.Close()
	p.last, err = bufio.NewReaderSize(resp.Body, 256).ReadString('\n')
	return err
}

func main() {
	program := harness.Start()
	guilty := &poller{url: program.Peer + "/ndjson?n=3000", interval: program.Interval()}
	innocent := &poller{url: program.Peer + "/ndjson?n=2900", interval: program.Interval()}
	program.Ready()
	go innocent.runFixed()
	if program.Fixed {
		guilty.runFixed()
	}
	guilty.run()
}
