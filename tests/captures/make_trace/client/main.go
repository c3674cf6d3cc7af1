// Command client records an execution trace of an HTTP client whose every request site is known to
// leak its body or not, and writes beside it the truth the decoder is measured against.
//
//	client -proto h1|h1tls|h2 -seconds 2.2 -out PREFIX
//
// writes PREFIX.trace and PREFIX.json. The server runs in a process of its own (-serve), so that the
// trace holds the client only.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/trace"
	"strings"
	"sync"
	"time"
)

// Site is the truth about one request site.
type Site struct {
	Opened  int `json:"opened"`  // responses with a body received while the trace ran
	Open    int `json:"open"`    // of those, neither closed, read to EOF nor cancelled at its end
	Reading int `json:"reading"` // of the open, being read at the end by whoever received them
	Line    int `json:"line"`    // of the call to client.Do
	Pending int `json:"pending"` // requests without a response at the end
	Handed  int `json:"handed"`  // of the open, being read at the end by another goroutine
}

var (
	mu    sync.Mutex
	truth = map[string]*Site{}
	base  string
	cl    *http.Client
	big   = bytes.Repeat([]byte("0123456789abcdef"), 1<<14) // 256 KiB: more than a socket or stream takes unread
)

// at runs fn on the calling site's record.
func at(fn func(*Site)) {
	pc, _, line, _ := runtime.Caller(1)
	name := runtime.FuncForPC(pc).Name()
	mu.Lock()
	defer mu.Unlock()
	s := truth[name]
	if s == nil {
		s = &Site{}
		truth[name] = s
	}
	before := s.Opened
	fn(s)
	if s.Opened > before && s.Line == 0 {
		s.Line = line - 1 // the call stands right above
	}
}

func get(ctx context.Context, path string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, "GET", base+path, nil)
	if err != nil {
		log.Fatal(err)
	}
	return req
}

func must(resp *http.Response, err error) *http.Response {
	if err != nil {
		log.Fatal(err)
	}
	return resp
}

// ---- leaks ----

//go:noinline
func leakStatus() {
	resp := must(cl.Do(get(context.Background(), "/big?code=503")))
	at(func(s *Site) { s.Opened++; s.Open++ })
	if resp.StatusCode != 200 {
		return
	}
	resp.Body.Close()
}

//go:noinline
func leakPart() {
	resp := must(cl.Do(get(context.Background(), "/big")))
	at(func(s *Site) { s.Opened++; s.Open++ })
	io.ReadFull(resp.Body, make([]byte, 100))
}

//go:noinline
func leakFrom(resp *http.Response) { // a helper beneath the leaking call: not the site
	bufio.NewReader(resp.Body).ReadByte()
}

//go:noinline
func leakSmall() {
	resp := must(cl.Do(get(context.Background(), "/trickle")))
	at(func(s *Site) { s.Opened++; s.Open++ })
	leakFrom(resp)
}

var kept []*http.Response

//go:noinline
func leakStored() {
	resp := must(cl.Do(get(context.Background(), "/big")))
	at(func(s *Site) { s.Opened++; s.Open++; kept = append(kept, resp) })
}

// ---- innocents ----

//go:noinline
func fineClosed() {
	resp := must(cl.Do(get(context.Background(), "/small")))
	at(func(s *Site) { s.Opened++ })
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
}

//go:noinline
func fineClosedEarly() {
	resp := must(cl.Do(get(context.Background(), "/big")))
	at(func(s *Site) { s.Opened++ })
	time.Sleep(time.Duration(rand.Intn(3)) * time.Millisecond)
	resp.Body.Close()
}

//go:noinline
func fineEOF() { // read to the end, never closed
	resp := must(cl.Do(get(context.Background(), "/small")))
	at(func(s *Site) { s.Opened++ })
	io.Copy(io.Discard, resp.Body)
}

//go:noinline
func fineGzip() {
	resp := must(cl.Do(get(context.Background(), "/gzip")))
	at(func(s *Site) { s.Opened++ })
	var v any
	json.NewDecoder(resp.Body).Decode(&v)
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

//go:noinline
func fineNoContent() { // no body: handed over without waiting
	must(cl.Do(get(context.Background(), "/empty")))
	at(func(s *Site) {})
}

//go:noinline
func fineHead() {
	req, _ := http.NewRequest("HEAD", base+"/big", nil)
	must(cl.Do(req))
	at(func(s *Site) {})
}

//go:noinline
func fineElsewhere() { // closed by another goroutine
	resp := must(cl.Do(get(context.Background(), "/big")))
	at(func(s *Site) { s.Opened++ })
	done := make(chan struct{})
	go func() {
		resp.Body.Close()
		close(done)
	}()
	<-done
}

//go:noinline
func fineCancelled() { // never closed, but its context ends
	ctx, cancel := context.WithCancel(context.Background())
	resp := must(cl.Do(get(ctx, "/big")))
	at(func(s *Site) { s.Opened++ })
	_ = resp
	time.Sleep(time.Millisecond)
	cancel()
}

//go:noinline
func fineRefused() { // times out before any response
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
	defer cancel()
	resp, err := cl.Do(get(ctx, "/never"))
	if err == nil {
		resp.Body.Close()
	}
}

//go:noinline
func finePost() {
	resp := must(cl.Post(base+"/small", "text/plain", strings.NewReader(string(big[:100000]))))
	at(func(s *Site) { s.Opened++ })
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// ---- busy at the end ----

//go:noinline
func busyStream(ready *sync.WaitGroup) { // an event stream, read by whoever asked for it
	resp := must(cl.Do(get(context.Background(), "/events")))
	at(func(s *Site) { s.Opened++; s.Open++; s.Reading++ })
	ready.Done()
	scanner := bufio.NewScanner(resp.Body)
	for scanner.Scan() {
	}
}

//go:noinline
func busyHanded(ready *sync.WaitGroup) { // an event stream, read by another goroutine
	resp := must(cl.Do(get(context.Background(), "/events")))
	at(func(s *Site) { s.Opened++; s.Open++; s.Handed++ })
	go func() {
		ready.Done()
		io.Copy(io.Discard, resp.Body)
	}()
}

//go:noinline
func leakBeneathStream() *http.Response { // leaked by a goroutine that goes on to read its event stream
	resp := must(cl.Do(get(context.Background(), "/big")))
	at(func(s *Site) { s.Opened++; s.Open++ })
	return resp
}

//go:noinline
func busyStreamAround(ready *sync.WaitGroup) { // the stream is older than the leak, and read after it
	resp := must(cl.Do(get(context.Background(), "/events")))
	at(func(s *Site) { s.Opened++; s.Open++; s.Reading++ })
	leakBeneathStream()
	ready.Done()
	io.Copy(io.Discard, resp.Body)
}

//go:noinline
func leakBeforeStream() { // leaked, then an event stream read by the same goroutine
	resp := must(cl.Do(get(context.Background(), "/big")))
	at(func(s *Site) { s.Opened++; s.Open++ })
	_ = resp
}

//go:noinline
func leakLoop(n int) { // many from one goroutine that stays
	for range n {
		resp := must(cl.Do(get(context.Background(), "/big")))
		at(func(s *Site) { s.Opened++; s.Open++ })
		_ = resp
	}
}

var queue = make(chan *http.Response)

func pool() { // reads and closes what it is sent
	for resp := range queue {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

//go:noinline
func fineQueued() {
	resp := must(cl.Do(get(context.Background(), "/gzip")))
	at(func(s *Site) { s.Opened++ })
	queue <- resp
}

//go:noinline
func busyQueued(ready *sync.WaitGroup) { // an event stream, read by a pool that is older than the trace
	resp := must(cl.Do(get(context.Background(), "/events")))
	at(func(s *Site) { s.Opened++; s.Open++; s.Handed++ })
	queue <- resp
	ready.Done()
}

//go:noinline
func leakAnswered() { // asked before the trace, answered within it
	resp := must(cl.Do(get(context.Background(), "/late")))
	at(func(s *Site) { s.Opened++; s.Open++ })
	_ = resp
}

//go:noinline
func busyPoll(ready *sync.WaitGroup) { // a long poll: no response yet
	at(func(s *Site) { s.Pending++ })
	ready.Done()
	cl.Do(get(context.Background(), "/never"))
}

func work(deadline time.Time, seed int64) {
	random := rand.New(rand.NewSource(seed))
	leaks := []func(){leakStatus, leakPart, leakSmall, leakStored}
	fine := []func(){fineClosed, fineClosedEarly, fineEOF, fineGzip, fineNoContent, fineHead, fineElsewhere,
		fineCancelled, fineRefused, finePost, fineQueued, fineClosed}
	for time.Now().Before(deadline) {
		if random.Intn(100) < *leakPercent {
			leaks[random.Intn(len(leaks))]()
		} else {
			fine[random.Intn(len(fine))]()
		}
		time.Sleep(time.Duration(random.Intn(2*int(*pause)+1)) * time.Microsecond)
	}
}

var (
	serve       = flag.Bool("serve", false, "be the server")
	proto       = flag.String("proto", "h1", "h1, h1tls or h2")
	out         = flag.String("out", "out", "write PREFIX.trace and PREFIX.json")
	seconds     = flag.Float64("seconds", 2.2, "length of the trace")
	workers     = flag.Int("workers", 4, "")
	leakPercent = flag.Int("leaks", 8, "percent of requests that leak")
	pause       = flag.Int("pause", 4000, "mean microseconds between a worker's requests")
)

func main() {
	flag.Parse()
	if *serve {
		server()
		return
	}
	self, _ := os.Executable()
	child := exec.Command(self, "-serve", "-proto", *proto)
	stdin, _ := child.StdinPipe()
	stdout, _ := child.StdoutPipe()
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		log.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		log.Fatal(err)
	}
	base = strings.TrimSpace(line)

	cl = &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:   *proto == "h2",
		MaxIdleConnsPerHost: 8,
	}}
	must(cl.Do(get(context.Background(), "/empty")))
	for range 6 {
		go pool()
	}
	go leakAnswered()
	time.Sleep(50 * time.Millisecond)

	file, err := os.Create(*out + ".trace")
	if err != nil {
		log.Fatal(err)
	}
	if err := trace.Start(file); err != nil {
		log.Fatal(err)
	}
	var ready, done sync.WaitGroup
	for range 3 {
		ready.Add(3)
		go busyStream(&ready)
		go busyHanded(&ready)
		go busyPoll(&ready)
	}
	ready.Add(3)
	go busyStreamAround(&ready)
	go busyQueued(&ready)
	go func() {
		leakBeforeStream()
		busyStream(&ready)
	}()
	done.Add(1)
	go func() {
		leakLoop(20)
		done.Done()
		select {}
	}()
	ready.Wait()
	deadline := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	for i := range *workers {
		done.Add(1)
		go func() {
			defer done.Done()
			work(deadline, int64(i))
		}()
	}
	done.Wait()
	runtime.GC()
	time.Sleep(60 * time.Millisecond)
	trace.Stop()
	file.Close()

	report, _ := os.Create(*out + ".json")
	encoder := json.NewEncoder(report)
	encoder.SetIndent("", " ")
	encoder.Encode(map[string]any{"go": runtime.Version(), "proto": *proto, "sites": truth})
	report.Close()
	runtime.KeepAlive(kept)
	stdin.Close()
	child.Wait()
}

func server() {
	mux := http.NewServeMux()
	flush := func(w http.ResponseWriter) { w.(http.Flusher).Flush() }
	mux.HandleFunc("/small", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, `{"hello": "world"}`)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("code") == "503" {
			w.WriteHeader(503)
		}
		for range 40 {
			w.Write(big)
		}
	})
	mux.HandleFunc("/trickle", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "first")
		flush(w)
		<-r.Context().Done()
	})
	mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(1150 * time.Millisecond)
		fmt.Fprint(w, "late")
		flush(w)
		<-r.Context().Done()
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprintf(z, "[%s0]", strings.Repeat("1234567, ", 3000))
		z.Close()
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("/never", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, "data: tick\n\n")
			flush(w)
			time.Sleep(200 * time.Millisecond)
		}
	})
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = *proto == "h2"
	if *proto == "h1" {
		server.Start()
	} else {
		server.StartTLS()
	}
	fmt.Println(server.URL)
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
