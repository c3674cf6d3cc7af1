// Command churn serves and makes -rate HTTP requests a second over loopback, on ever changing stacks.
//
// Before a goroutine calls down a path of functions it says so by its pprof label `path`: digits, each the number of
// a step, then a letter for where it ends. A stack that is not a beginning of its goroutine's path was never there.
// Commands on stdin: `latency` tells the percentiles since the last time, in microseconds.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"sort"
	"strconv"
	"sync"
	"time"
)

const paths = 512

type path struct {
	steps []byte
	end   byte
	url   string
	ctx   context.Context // kept, so that the label set is never another's
}

var (
	step   [8]func(p *path, at int) int
	served [paths]*path
	asked  [paths]*path
	mutex  sync.Mutex
	tick   = make(chan struct{})
	client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
)

func init() {
	step = [...]func(p *path, at int) int{step0, step1, step2, step3, step4, step5, step6, step7}
}

//go:noinline
func next(p *path, at int) int {
	if at < len(p.steps) {
		return step[p.steps[at]](p, at+1)
	}
	switch p.end {
	case 'r':
		return endReceive()
	case 's':
		return endSelect()
	case 'z':
		return endSleep()
	case 'm':
		return endMutex()
	case 'y':
		return endYield()
	}
	return endGet(p)
}

//go:noinline
func step0(p *path, at int) int { return next(p, at) + 1 }

//go:noinline
func step1(p *path, at int) int { var room [3]int; room[at%3] = next(p, at); return room[1] }

//go:noinline
func step2(p *path, at int) int { var room [10]int; room[at%10] = next(p, at); return room[1] }

//go:noinline
func step3(p *path, at int) int { var room [40]int; room[at%40] = next(p, at); return room[1] }

//go:noinline
func step4(p *path, at int) int { var room [2]int; room[at%2] = step0(p, at-0); return room[1] }

//go:noinline
func step5(p *path, at int) int { var room [200]int; room[at%200] = next(p, at); return room[1] }

//go:noinline
func step6(p *path, at int) int { var room [5]int; room[at%5] = next(p, at); return room[1] }

//go:noinline
func step7(p *path, at int) int { return next(p, at) - 1 }

//go:noinline
func endReceive() int { <-tick; return 1 }

//go:noinline
func endSelect() int {
	select {
	case <-tick:
		return 1
	case <-time.After(2 * time.Millisecond):
		return 2
	}
}

//go:noinline
func endSleep() int { time.Sleep(time.Millisecond); return 1 }

//go:noinline
func endMutex() int {
	mutex.Lock()
	time.Sleep(20 * time.Microsecond)
	mutex.Unlock()
	return 1
}

//go:noinline
func endYield() int { runtime.Gosched(); return 1 }

//go:noinline
func endGet(p *path) int {
	response, err := client.Get(p.url)
	must(err)
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return 1
}

//go:noinline
func run(p *path) {
	pprof.SetGoroutineLabels(p.ctx)
	next(p, 0)
	pprof.SetGoroutineLabels(context.Background())
}

func newPath(random *rand.Rand, end byte, url string) *path {
	p := &path{end: end, url: url}
	name := ""
	for range 1 + random.Intn(12) {
		number := byte(random.Intn(8))
		p.steps = append(p.steps, number)
		name += strconv.Itoa(int(number))
		if number == 4 {
			name += "0" // it calls another step by itself
		}
	}
	p.ctx = pprof.WithLabels(context.Background(), pprof.Labels("path", name+string(end)))
	return p
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type latencies struct {
	sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) { l.Lock(); l.all = append(l.all, d); l.Unlock() }

func (l *latencies) take() map[string]any {
	l.Lock()
	all := l.all
	l.all = nil
	l.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(share float64) int64 {
		if len(all) == 0 {
			return 0
		}
		return all[int(share*float64(len(all)-1))].Microseconds()
	}
	return map[string]any{"count": len(all), "p50": at(.5), "p99": at(.99)}
}

func main() {
	rate := flag.Int("rate", 2000, "requests a second")
	workers := flag.Int("workers", 64, "clients")
	parked := flag.Int("parked", 0, "goroutines that just wait")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	random := rand.New(rand.NewSource(1))
	for i := range served {
		served[i] = newPath(random, "rszmy"[i%5], "")
		asked[i] = newPath(random, 'g', "http://"+listener.Addr().String()+"/?"+strconv.Itoa(i))
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.URL.RawQuery)
		must(err)
		run(served[i])
		io.WriteString(w, "done")
	}))
	for range *parked {
		go func() { select {} }()
	}
	go func() {
		for {
			time.Sleep(100 * time.Microsecond)
			for range 8 {
				select {
				case tick <- struct{}{}:
				default:
				}
			}
		}
	}()
	var measured latencies
	due := make(chan time.Time, 1<<16)
	for worker := range *workers {
		go func() {
			random := rand.New(rand.NewSource(int64(worker)))
			for at := range due {
				run(asked[random.Intn(paths)])
				measured.add(time.Since(at))
			}
		}()
	}
	go func() {
		at := time.Now()
		for {
			at = at.Add(time.Second / time.Duration(*rate))
			time.Sleep(time.Until(at))
			due <- at
		}
	}()
	answers := json.NewEncoder(os.Stdout)
	answers.Encode(map[string]any{"ready": true})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "latency" {
			answers.Encode(map[string]any{"latency": measured.take()})
		}
	}
}
