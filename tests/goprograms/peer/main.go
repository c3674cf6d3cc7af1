// Peer is the other side of every program here, in a process of its own: plain HTTP/1, HTTP/1 over
// TLS and HTTP/2, with endpoints that answer small, large, slow, broken, compressed or never.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

type server struct {
	mu     sync.Mutex
	counts map[string]int
	ports  map[string]string
	flips  map[string]int // requests to /flaky, by key
	latch  chan struct{}  // what long polls wait for; nobody closes it
}

func main() {
	s := &server{
		counts: map[string]int{}, ports: map[string]string{}, flips: map[string]int{}, latch: make(chan struct{}),
	}
	handler := s.counted(s.routes())
	quiet := log.New(nowhere{}, "", 0)

	s.ports["http"] = s.listen("http", &http.Server{Handler: handler, ErrorLog: quiet}, nil)
	s.ports["unix"] = fmt.Sprintf("@leaktui-peer-%d", os.Getpid()) // abstract: leaves no file behind
	daemon, err := net.Listen("unix", s.ports["unix"])
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(daemon, handler)
	s.ports["tls"] = s.listen("https", &http.Server{
		Handler: handler, ErrorLog: quiet,
		// A non-nil empty map turns HTTP/2 off.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}, selfSigned())
	s.ports["h2"] = s.listen("https", &http.Server{Handler: handler, ErrorLog: quiet}, selfSigned())

	ready := map[string]any{"ready": true, "pid": os.Getpid()}
	for name, base := range s.ports {
		ready[name] = base
	}
	say(ready)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		if commands.Text() == "truth" {
			s.mu.Lock()
			say(map[string]any{"requests": s.counts})
			s.mu.Unlock()
		}
	}
	// The pipe is at its end: the test is over, or dead.
}

func (s *server) listen(scheme string, srv *http.Server, certificate *tls.Certificate) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if certificate == nil {
		go srv.Serve(listener)
	} else {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		go srv.ServeTLS(listener, "", "")
	}
	return fmt.Sprintf("%s://%s", scheme, listener.Addr())
}

// counted keeps the peer's own truth: requests by path.
func (s *server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.counts[r.URL.Path]++
		s.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
