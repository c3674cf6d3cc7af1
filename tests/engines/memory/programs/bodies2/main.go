// Command bodies2 leaves HTTP/2 response bodies open in every way it knows, and says which.
//
// Its argument is the base URL of an HTTP/2 peer; with -healthy it closes whatever it opens.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// body is an open body as the program knows it; of what it does not know the zero value, for length and
// buffered -1.
type body struct {
	Kind     string `json:"kind"`
	Method   string `json:"method"`
	URL      string `json:"url"`
	Status   int    `json:"status"`
	Length   int64  `json:"length"`
	Buffered int    `json:"buffered"`
	State    string `json:"state"`
	Reader   int    `json:"reader"`
	Local    string `json:"local"`
	Date     string `json:"date"`
	Listed   bool   `json:"listed"`
}

var (
	base string
	mu   sync.Mutex
	all  []body
	kept []io.Closer
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
}

// send sends a request and notes its response as open, if it is listed.
func send(c *http.Client, kind, method, path string, send io.Reader, listed bool) (*http.Response, *body) {
	b := &body{Kind: kind, Method: method, URL: base + path, State: "UNREAD", Buffered: -1, Listed: listed}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { b.Local = info.Conn.LocalAddr().String() }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), method, b.URL, send)
	must(err)
	resp, err := c.Do(req)
	must(err)
	if resp.ProtoMajor != 2 {
		panic("not HTTP/2: " + resp.Proto)
	}
	b.Status, b.Length, b.Date = resp.StatusCode, resp.ContentLength, resp.Header.Get("Date")
	mu.Lock()
	defer mu.Unlock()
	kept = append(kept, resp.Body)
	return resp, b
}

func note(b *body) {
	mu.Lock()
	defer mu.Unlock()
	all = append(all, *b)
}

func goid() int {
	buf := make([]byte, 64)
	buf = buf[:runtime.Stack(buf, false)]
	id, err := strconv.Atoi(string(bytes.Fields(buf)[1]))
	must(err)
	return id
}

func leave(c *http.Client, kind, method, path string, buffered int) {
	_, b := send(c, kind, method, path, nil, true)
	b.Buffered = buffered
	note(b)
}

// part leaves a body of which n bytes were read.
func part(c *http.Client, kind, path string, n int) {
	resp, b := send(c, kind, "GET", path, nil, true)
	_, err := io.ReadFull(resp.Body, make([]byte, n))
	must(err)
	b.State = "PART_READ"
	note(b)
}

// reading leaves a goroutine in the Read of a body that gives nothing more.
func reading(c *http.Client, path string) {
	resp, b := send(c, "being read", "GET", path, nil, true)
	begun := make(chan int)
	go func() {
		lines := bufio.NewScanner(resp.Body)
		for i := 0; lines.Scan(); i++ {
			if i == 2 {
				begun <- goid()
			}
		}
	}()
	b.Reader, b.State, b.Buffered = <-begun, "BEING_READ", 0
	note(b)
}

func leak(n int) {
	one, other := newClient(), newClient()
	other.Timeout = time.Hour
	const window = 4 << 20
	const endless = "/sse?ms=3600000&id="
	for i := range n {
		leave(one, "stream", "GET", endless+strconv.Itoa(i), len("event: tick\ndata: 0\n\n"))
	}
	leave(one, "large", "GET", "/large?n=9000000", window)
	leave(one, "large", "POST", "/large?n=9000000&p=%2Fa%20b", window)
	leave(other, "error", "GET", "/large?n=9000000&status=503", window)
	leave(other, "error", "GET", "/large?n=9000000&status=404", window)
	leave(other, "undeclared", "GET", "/ndjson?n=1000000", window)
	leave(newClient(), "dripping", "GET", "/drip?bps=10&n=100000", -1)
	part(one, "a few bytes", "/large?n=9000000&part=1", 1000)
	part(one, "half", "/large?n=20000000&part=2", 5000000)
	for _, size := range []int{1, 1024, 4096, 16384, 5000000} {
		part(other, "undeclared", "/ndjson?n=1000000&part="+strconv.Itoa(size), size)
	}
	part(other, "undeclared", endless+"part", len("event: tick\ndata: 0\n\n"))
	for i := range 5 {
		reading(one, endless+"one"+strconv.Itoa(i))
		reading(other, endless+"other"+strconv.Itoa(i))
	}
	// A gzip reader around the body; it reads ahead.
	leave(other, "gzip", "GET", "/gzip?n=3000000", -1)
	part(other, "gzip", "/gzip?n=3000000&part=1", 10)
	// While the request is still being sent.
	reader, writer := io.Pipe()
	go writer.Write(make([]byte, 20000))
	_, echo := send(other, "echo", "POST", "/echo", reader, true)
	note(echo)

	// Without a body, or ended: none of the connection's business any more.
	for _, path := range []string{"/large?n=9000000", "/small"} {
		resp, b := send(one, "head", "HEAD", path, nil, false)
		_ = resp
		note(b)
	}
	for i := range 10 {
		_, b := send(one, "ended", "GET", "/small?id="+strconv.Itoa(i), nil, false)
		note(b)
		_, b = send(other, "ended", "GET", "/large?n=100000&id="+strconv.Itoa(i), nil, false)
		note(b)
	}
	drop(one)
	// Closed, read to the end, cut off.
	for i := range 10 {
		resp, b := send(one, "closed", "GET", endless+"closed"+strconv.Itoa(i), nil, false)
		must(resp.Body.Close())
		note(b)
		resp, b = send(other, "read", "GET", "/large?n=3000000", nil, false)
		_, err := io.Copy(io.Discard, resp.Body)
		must(err)
		note(b)
		ctx, cancel := context.WithCancel(context.Background())
		req, err := http.NewRequestWithContext(ctx, "GET", base+endless+"cut", nil)
		must(err)
		resp, err = one.Do(req)
		must(err)
		cancel()
		io.Copy(io.Discard, resp.Body)
	}
	for range 3 {
		go one.Get(base + "/slow?ms=3600000")
	}
}

// drop forgets ten bodies of 1000 bytes.
//
//go:noinline
func drop(c *http.Client) {
	for i := range 10 {
		_, err := c.Get(base + "/large?n=1000&dropped=" + strconv.Itoa(i))
		must(err)
	}
}

// healthy reads and closes without end.
func healthy(n int) {
	c := newClient()
	for i := range n {
		path := []string{"/large?n=300000", "/small", "/drip?bps=300000&n=60000", "/status/404", "/ndjson?n=3000", "/large?n=9000000"}[i%6]
		go func() {
			for {
				resp, err := c.Get(base + path)
				must(err)
				if i%6 != 5 {
					_, err = io.Copy(io.Discard, resp.Body)
					must(err)
				}
				must(resp.Body.Close())
				time.Sleep(time.Duration(5+i) * time.Millisecond)
			}
		}()
	}
}

func main() {
	well := flag.Bool("healthy", false, "close what is opened")
	n := flag.Int("n", 30, "streams that are left open, or goroutines that read")
	flag.Parse()
	base = flag.Arg(0)
	if *well {
		healthy(*n)
	} else {
		leak(*n)
	}
	time.Sleep(500 * time.Millisecond) // for the windows to fill
	runtime.GC()
	runtime.GC()
	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "bodies": all})
	io.Copy(io.Discard, os.Stdin)
	fmt.Fprint(io.Discard, len(kept))
}
