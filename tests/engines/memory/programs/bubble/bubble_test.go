//go:build go1.25

//go:debug asynctimerchan=0

// Goroutines that wait inside a synctest bubble, with pprof served outside of it until stdin ends.
package bubble

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBubble(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(listener, nil)
	outside := make(chan int)
	go func() {
		json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "pprof": listener.Addr().String()})
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	synctest.Test(t, func(t *testing.T) {
		var mutex sync.Mutex
		cond := sync.NewCond(&mutex)
		var group sync.WaitGroup
		group.Add(1)
		inside, another, nothing := make(chan int), make(chan int), (chan int)(nil)
		go func() { cond.L.Lock(); cond.Wait() }()
		go group.Wait()
		go func() { <-inside }()
		go func() { inside <- <-nothing }()
		go func() { select {} }()
		go func() {
			select {
			case <-another:
			case another <- 1:
			}
		}()
		go time.Sleep(time.Hour)
		<-outside // not durably: time stands still
	})
}
