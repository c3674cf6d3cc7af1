// Package harness is what every program here shares: its flags, its pprof listener, the ready line,
// the pace of its work and the pipe by which the test talks to it. What leaks is the program's own.
package harness

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"example.com/goprograms/internal/truth"
)

// Program is a started program: what its flags said.
type Program struct {
	Peer  string  // base URL of the peer, plain HTTP/1
	Rate  float64 // leaks, or operations, per second
	Fixed bool    // take the repaired path

	pprof   string
	control bool
	ready   map[string]any
	atExit  func() error
	out     sync.Mutex
}

// Start parses the flags and serves pprof where asked.
func Start() *Program {
	p := &Program{ready: map[string]any{"ready": true, "pid": os.Getpid()}}
	flag.StringVar(&p.Peer, "peer", "", "base `URL` of the peer server")
	flag.Float64Var(&p.Rate, "rate", 20, "leaks or operations per second")
	flag.BoolVar(&p.Fixed, "fixed", false, "take the repaired path")
	flag.StringVar(&p.pprof, "pprof", "", "serve net/http/pprof at this `address`")
	flag.BoolVar(&p.control, "control", false, "answer \"truth\" on stdin, exit at its end")
	flag.Parse()
	if p.Rate <= 0 {
		p.Rate = 20
	}
	if p.pprof != "" {
		address, err := servePprof(p.pprof)
		Must(err)
		p.ready["pprof"] = address
	}
	return p
}

// Ready prints the ready line and begins to listen to the test.
func (p *Program) Ready() {
	line, err := json.Marshal(p.ready)
	Must(err)
	if p.control {
		go p.obey(os.Stdin)
	} else {
		// Before the ready line: a signal nobody asked for is lost.
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGUSR1)
		go p.heed(signals)
	}
	p.print(append(line, '\n'))
}

func (p *Program) heed(signals <-chan os.Signal) {
	for range signals {
		p.print(truth.JSON())
	}
}

func (p *Program) obey(commands io.Reader) {
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		if lines.Text() == "truth" {
			p.print(truth.JSON())
		}
	}
	p.exit() // whoever started us is gone
}

// AtExit has cleanup done when the program is told to go.
func (p *Program) AtExit(cleanup func() error) { p.atExit = cleanup }

func (p *Program) exit() {
	if p.atExit != nil {
		// The program is still at work and may put new files where old ones are removed.
		for tries := 0; p.atExit() != nil && tries < 50; tries++ {
			time.Sleep(10 * time.Millisecond)
		}
	}
	os.Exit(0)
}

func (p *Program) print(line []byte) {
	p.out.Lock()
	defer p.out.Unlock()
	os.Stdout.Write(line)
}

// Interval is the time between two operations at the program's rate.
func (p *Program) Interval() time.Duration {
	return time.Duration(float64(time.Second) / p.Rate)
}

// Every calls work at the program's rate, for ever, on the caller's goroutine.
func (p *Program) Every(work func(i int)) {
	next := time.Now()
	for i := 0; ; i++ {
		work(i)
		next = next.Add(p.Interval())
		if pause := time.Until(next); pause > 0 {
			time.Sleep(pause)
		} else {
			next = time.Now() // fell behind: no burst to catch up
		}
	}
}

// Peers is where else the peer listens.
type Peers struct {
	TLS  string // base URL, HTTP/1 over TLS
	H2   string // base URL, HTTP/2 over TLS
	Unix string // name of a unix socket, HTTP/1
}

// Peers asks the peer where else it listens.
func (p *Program) Peers() (peers Peers) {
	get(p.Peer+"/ports", &peers)
	return peers
}

// Serve serves handler on a free loopback port and has the peer call path there at the program's rate.
func (p *Program) Serve(handler http.Handler, path string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Must(err)
	base := "http://" + listener.Addr().String()
	p.ready["url"] = base
	go http.Serve(listener, handler)
	query := url.Values{"url": {base + path}, "rate": {fmt.Sprint(p.Rate)}}
	get(p.Peer+"/drive?"+query.Encode(), nil)
}

// get is for the harness's own calls: a connection of its own that is gone afterwards.
func get(url string, into any) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	Must(err)
	defer resp.Body.Close()
	if into != nil {
		Must(json.NewDecoder(resp.Body).Decode(into))
	}
}

// Must ends the program when err is set: the test sees it die and shows why.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "goprograms:", err)
		os.Exit(1)
	}
}
