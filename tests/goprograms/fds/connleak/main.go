// A port prober dials, measures, and keeps the connection for statistics it never makes.
package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type probe struct {
	conn net.Conn
	took time.Duration
}

type prober struct {
	address string
	dialer  net.Dialer
	history []probe
	fixed   bool
}

func (p *prober) measure() error {
	start := time.Now()
	conn, err := p.dialer.Dial("tcp", p.address) // LEAK: fd main.(*prober).measure
	if err != nil {
		return err
	}
	truth.Opened("guilty")
	p.history = append(p.history, probe{conn, time.Since(start)})
	if p.fixed {
		defer truth.Closed("guilty")
		return conn.Close()
	}
	return nil
}

// status speaks HTTP by hand, and closes.
func (p *prober) status() (string, error) {
	conn, err := net.DialTimeout("tcp", p.address, time.Second)
	if err != nil {
		return "", err
	}
	truth.Opened("status")
	defer truth.Closed("status")
	defer conn.Close()
	fmt.Fprintf(conn, "GET /small HTTP/1.0\r\nHost: %s\r\n\r\n", p.address)
	return bufio.NewReader(conn).ReadString('\n')
}

func main() {
	program := harness.Start()
	p := &prober{address: strings.TrimPrefix(program.Peer, "http://"), fixed: program.Fixed}
	program.Ready()
	program.Every(func(int) {
		p.measure()
		p.status()
	})
}
