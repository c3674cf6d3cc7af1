package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ports", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(s.ports) })
	mux.HandleFunc("/drive", drive)
	mux.HandleFunc("/small", small)
	mux.HandleFunc("/large", large)
	mux.HandleFunc("/status/{code}", status)
	mux.HandleFunc("/gzip", gzipped)
	mux.HandleFunc("/badjson", badJSON)
	mux.HandleFunc("/ndjson", ndjson)
	mux.HandleFunc("/flaky", s.flaky)
	mux.HandleFunc("/sse", events)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/drip", drip)
	mux.HandleFunc("/longpoll", s.longPoll)
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/small", http.StatusFound) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	return mux
}

// number is a query parameter, or otherwise.
func number(r *http.Request, name string, otherwise int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
		return n
	}
	return otherwise
}

// small: a few JSON fields; ?status= for another status.
func small(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(number(r, "status", http.StatusOK))
	fmt.Fprintf(w, `{"id":%d,"name":"widget","price":1299,"stock":7}`+"\n", number(r, "id", 1))
}

// large: n bytes (1 MiB unless told), in one go.
func large(w http.ResponseWriter, r *http.Request) {
	left := number(r, "n", 1<<20)
	w.Header().Set("Content-Length", strconv.Itoa(left))
	w.WriteHeader(number(r, "status", http.StatusOK))
	line := []byte(strings.Repeat("0123456789abcdef", 255) + "0123456789abcde\n")
	for left > 0 {
		n, err := w.Write(line[:min(left, len(line))])
		if err != nil {
			return
		}
		left -= n
	}
}

func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		code = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"error":{"code":%d,"message":%q}}`+"\n", code, http.StatusText(code))
}

func gzipped(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Type", "text/csv")
	out := gzip.NewWriter(w)
	defer out.Close()
	for i := range number(r, "n", 4096) {
		fmt.Fprintf(out, "%d,part-%x,%d\n", i, uint32(i)*2654435761, i%97)
	}
}

// badJSON: well-formed for a while, then not, and then some more.
func badJSON(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"id":1,"name":"widget","price":"n/a",}`)
	io.WriteString(w, strings.Repeat(" \n", number(r, "n", 4096)))
}

// ndjson: ?n= records (1000), one a line; the price of ?bad= (none) is negative.
func ndjson(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	bad := number(r, "bad", -1)
	for i := range number(r, "n", 1000) {
		price := 100 + i
		if i == bad {
			price = -1
		}
		fmt.Fprintf(w, `{"id":%d,"name":"article %d","price":%d}`+"\n", i, i, price)
	}
}

// flaky: 503 on every other request with the same ?key=.
func (s *server) flaky(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	s.mu.Lock()
	s.flips[key]++
	unwell := s.flips[key]%2 == 1
	s.mu.Unlock()
	if unwell {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"error":"try again"}`+"\n")
		return
	}
	small(w, r)
}

// events: a server-sent event every ?ms= (200), ?count= of them (for ever).
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	ticker := time.NewTicker(time.Duration(number(r, "ms", 200)) * time.Millisecond)
	defer ticker.Stop()
	flusher := w.(http.Flusher)
	for i := 0; i != number(r, "count", -1); i++ {
		fmt.Fprintf(w, "event: tick\ndata: %d\n\n", i)
		flusher.Flush()
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// slow: waits ?ms= (500) before it answers.
func slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(time.Duration(number(r, "ms", 500)) * time.Millisecond):
		small(w, r)
	case <-r.Context().Done():
	}
}

// drip: a download at ?bps= bytes a second (64 KiB), ?n= bytes of it (1 MiB).
func drip(w http.ResponseWriter, r *http.Request) {
	left, speed := number(r, "n", 1<<20), number(r, "bps", 64<<10)
	w.Header().Set("Content-Length", strconv.Itoa(left))
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	piece := make([]byte, max(1, speed/10))
	for left > 0 {
		n, err := w.Write(piece[:min(left, len(piece))])
		if err != nil {
			return
		}
		left -= n
		w.(http.Flusher).Flush()
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// longPoll: the head at once (unless ?late=1), the answer after ?ms= (3000) or never.
func (s *server) longPoll(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if number(r, "late", 0) == 0 {
		w.(http.Flusher).Flush()
	}
	select {
	case <-s.latch:
	case <-time.After(time.Duration(number(r, "ms", 3000)) * time.Millisecond):
		fmt.Fprintln(w, `{"changes":[]}`)
	case <-r.Context().Done():
	}
}
