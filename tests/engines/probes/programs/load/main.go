// Command load makes -rate HTTP requests a second to -url (0: as many as it can) and times them, each from the
// moment it was due. Of every -leak bodies one is left open (0: none), at a line of its own.
//
// Without -url it is the server: it answers every request with -size bytes, at the address it prints.
// Commands on stdin: `latency` tells what happened since the last time (microseconds); `truth` how many bodies
// were opened, closed and left open since the start, none being under way meanwhile.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	client  *http.Client
	url     string
	opened  atomic.Int64
	closed  atomic.Int64
	failed  atomic.Int64
	barrier sync.RWMutex // held for writing while nothing may be under way
)

//go:noinline
func fetch() bool {
	response, err := client.Get(url)
	if err != nil {
		return false
	}
	opened.Add(1)
	defer closed.Add(1)
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return true
}

//go:noinline
func forget() bool {
	response, err := client.Get(url)
	if err != nil {
		return false
	}
	opened.Add(1)
	return response.StatusCode == http.StatusOK
}

type times struct {
	sync.Mutex
	all   []time.Duration
	since time.Time
	cpu   time.Duration
}

func (t *times) add(d time.Duration) { t.Lock(); t.all = append(t.all, d); t.Unlock() }

func (t *times) take() map[string]any {
	t.Lock()
	all, since, before := t.all, t.since, t.cpu
	t.all, t.since, t.cpu = nil, time.Now(), used()
	cpu := t.cpu - before
	t.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(share float64) int64 {
		if len(all) == 0 {
			return 0
		}
		return all[int(share*float64(len(all)-1))].Microseconds()
	}
	return map[string]any{
		"count": len(all), "p50": at(.5), "p99": at(.99), "failed": failed.Load(),
		"seconds": time.Since(since).Seconds(), "cpu_us": cpu.Microseconds(),
	}
}

func used() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func say(value map[string]any) { must(json.NewEncoder(os.Stdout).Encode(value)) }

func serve(size int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	answer := []byte(strings.Repeat("x", size))
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(answer) }))
	say(map[string]any{"ready": true, "url": "http://" + listener.Addr().String() + "/item"})
}

func main() {
	rate := flag.Int("rate", 1000, "requests a second")
	workers := flag.Int("workers", 64, "requests under way at most")
	leak := flag.Int("leak", 0, "one of so many bodies is left open")
	size := flag.Int("size", 64, "bytes of an answer")
	flag.StringVar(&url, "url", "", "whom to ask")
	flag.Parse()
	log := &times{since: time.Now(), cpu: used()}
	if url == "" {
		serve(*size)
	} else {
		client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *workers}}
		due := make(chan time.Time, 4096)
		var number atomic.Int64
		for range *workers {
			go func() {
				for when := range due {
					if when.IsZero() {
						when = time.Now()
					}
					barrier.RLock()
					made := false
					if *leak > 0 && number.Add(1)%int64(*leak) == 0 {
						made = forget()
					} else {
						made = fetch()
					}
					barrier.RUnlock()
					if made {
						log.add(time.Since(when))
					} else {
						failed.Add(1)
					}
				}
			}()
		}
		go func() {
			if *rate == 0 {
				for {
					due <- time.Time{}
				}
			}
			start := time.Now()
			for i := 0; ; i++ {
				when := start.Add(time.Duration(i) * time.Second / time.Duration(*rate))
				time.Sleep(time.Until(when))
				due <- when
			}
		}()
		say(map[string]any{"ready": true})
	}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch commands.Text() {
		case "latency":
			say(map[string]any{"latency": log.take()})
		case "truth":
			barrier.Lock()
			o, c := opened.Load(), closed.Load()
			barrier.Unlock()
			say(map[string]any{"truth": map[string]any{"opened": o, "closed": c, "left": o - c}})
		}
	}
}
