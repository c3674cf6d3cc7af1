package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func parkSystem() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- connection
		}
	}()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	server := <-accepted
	go func() { io.Copy(io.Discard, connection) }()
	go func() { // two readers of one connection: the second waits for the first one's lock
		time.Sleep(100 * time.Millisecond)
		connection.Read(make([]byte, 1))
	}()
	go func() {
		for block := make([]byte, 1<<20); ; {
			if _, err := server.Write(block[:1]); err != nil {
				return
			}
			time.Sleep(time.Hour)
		}
	}()

	reader, _, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	go func() { reader.Read(make([]byte, 1)) }()

	var raw [2]int
	if err := syscall.Pipe(raw[:]); err != nil {
		log.Fatal(err)
	}
	go func() { syscall.Read(raw[0], make([]byte, 1)) }()

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() { <-signals }()

	// Bodies that are never closed, one of them on a connection of its own.
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 256<<10))
	}))
	for i := 0; i < 2; i++ {
		response, err := http.Get(web.URL)
		if err != nil {
			log.Fatal(err)
		}
		bodies = append(bodies, response.Body)
	}
}

var bodies []io.ReadCloser
