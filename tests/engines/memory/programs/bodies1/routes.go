package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

func number(r *http.Request, name string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(name))
	return n
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

// stall sends nothing more until the client is gone.
func stall(w http.ResponseWriter, r *http.Request) {
	flush(w)
	<-r.Context().Done()
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/declared", func(w http.ResponseWriter, r *http.Request) {
		n := number(r, "n")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		io.WriteString(w, strings.Repeat("d", n))
	})
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		for range number(r, "n") {
			io.WriteString(w, "c")
			flush(w)
		}
	})
	mux.HandleFunc("/slowend", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("s", 100))
		stall(w, r)
	})
	mux.HandleFunc("/longhead", func(w http.ResponseWriter, r *http.Request) {
		for i := range 20 {
			w.Header().Set(fmt.Sprintf("X-Field-%d", i), strings.Repeat("h", 1000))
		}
		w.Header().Set("Content-Length", r.URL.Query().Get("n"))
		io.WriteString(w, strings.Repeat("d", number(r, "n")))
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, "hinted")
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.WriteHeader(code)
		if code != http.StatusNoContent {
			fmt.Fprintln(w, http.StatusText(code))
		}
	})
	mux.HandleFunc("/any/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "any") })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/status/206", http.StatusSeeOther)
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		out := gzip.NewWriter(w)
		for i := range 100000 {
			fmt.Fprintln(out, i*i)
		}
		out.Close()
	})
	mux.HandleFunc("/gzipstall", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		out := gzip.NewWriter(w)
		fmt.Fprintln(out, "zipped")
		out.Flush()
		stall(w, r)
	})
	mux.HandleFunc("/closing", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "last words")
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "[1,\n")
		stall(w, r)
	})
	mux.HandleFunc("/stall", stall)
	mux.HandleFunc("/never", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

// rawServer answers with what net/http's server would not send; it returns its URL.
func rawServer() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return "http://" + listener.Addr().String()
}

var answers = map[string]string{
	"/old":     "HTTP/1.0 200 OK\r\nServer: old\r\n\r\nuntil the end",
	"/bare":    "HTTP/1.1 299\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbare\r\n",
	"/half":    "HTTP/1.1 200 OK\r\nContent-Le",
	"/mimicry": "HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + strings.Repeat("HTTP/1.1 500 Not this\r\nContent-Length: 1\r\n\r\n", 100),
	"/upgrade": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello",
}

// answer sends what the path is for and then nothing more.
func answer(conn net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		conn.Close()
		return
	}
	io.WriteString(conn, answers[req.URL.Path])
	io.Copy(io.Discard, conn)
}
