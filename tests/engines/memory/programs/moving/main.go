// Command moving has goroutines that wait for answers to requests, and the requests never stop moving: through
// queues, maps, lists, timers and new goroutines. Nobody in it is leaked. -mb of pointers make its heap take a
// while to be looked through; -pause is how long a request stays where it is.
package main

import (
	"container/list"
	"context"
	"encoding/json"
	"flag"
	"io"
	"math/rand"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

type request struct {
	tries  int
	answer chan int
	next   *request
}

type node struct {
	left, right *node
	value       [4]int
}

var ballast []*node

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

var pause time.Duration

func rest() {
	if pause > 0 {
		time.Sleep(time.Duration(rand.Int63n(int64(2 * pause))))
	}
}

//go:noinline
func waitQueue(c chan int) { <-c }

//go:noinline
func waitRing(c chan int) { <-c }

//go:noinline
func waitMap(c chan int) { <-c }

//go:noinline
func waitList(c chan int) { <-c }

//go:noinline
func waitRelay(c chan int) { <-c }

//go:noinline
func waitTimer(c chan int) { <-c }

//go:noinline
func waitCopy(c chan int) { <-c }

//go:noinline
func waitPointer(c chan int) { <-c }

//go:noinline
func waitGroup(g *sync.WaitGroup) { g.Wait() }

//go:noinline
func waitUnbuffered(c chan int) { <-c }

//go:noinline
func waitContext(c context.Context) { <-c.Done() }

var (
	ring     [8]chan *request
	lock     sync.Mutex
	byNumber = map[int]*request{}
	linked   list.List
	slots    [64]atomic.Pointer[request]
)

func relay(r *request) {
	r.tries++
	rest()
	go relay(&request{tries: r.tries, answer: r.answer})
}

func rearm(r *request) {
	r.tries++
	time.AfterFunc(pause+time.Microsecond, func() { rearm(&request{answer: r.answer}) })
}

func main() {
	megabytes := flag.Int("mb", 8, "of pointers")
	each := flag.Int("n", 4, "goroutines of each kind")
	flag.DurationVar(&pause, "pause", time.Millisecond, "")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	for i := 0; i < *megabytes; i++ {
		ballast = append(ballast, tree(14-1))
	}
	// A queue whose workers put back what they take.
	queue := make(chan *request, 2**each)
	for i := 0; i < *each; i++ {
		r := &request{answer: make(chan int)}
		queue <- r
		go waitQueue(r.answer)
	}
	for i := 0; i < 2; i++ {
		go func() {
			for r := range queue {
				rest()
				queue <- r
			}
		}()
	}
	// A ring of queues: each worker passes on a copy.
	for i := range ring {
		ring[i] = make(chan *request, *each)
	}
	for i := 0; i < *each; i++ {
		r := &request{answer: make(chan int)}
		ring[i%len(ring)] <- r
		go waitRing(r.answer)
	}
	for i := range ring {
		go func(from, to chan *request) {
			for r := range from {
				rest()
				to <- &request{answer: r.answer, tries: r.tries + 1}
			}
		}(ring[i], ring[(i+1)%len(ring)])
	}
	// An unbuffered ring.
	{
		a, b := make(chan *request), make(chan *request)
		for _, pair := range [][2]chan *request{{a, b}, {b, a}} {
			go func(from, to chan *request) {
				for r := range from {
					rest()
					to <- r
				}
			}(pair[0], pair[1])
		}
		r := &request{answer: make(chan int)}
		go waitUnbuffered(r.answer)
		a <- r
	}
	// A map: taken out, put back under another key.
	for i := 0; i < *each; i++ {
		r := &request{answer: make(chan int)}
		byNumber[i] = r
		go waitMap(r.answer)
	}
	go func() {
		for {
			lock.Lock()
			var taken *request
			for key, r := range byNumber {
				taken = r
				delete(byNumber, key)
				break
			}
			lock.Unlock()
			rest()
			lock.Lock()
			byNumber[rand.Int()] = taken
			lock.Unlock()
			rest()
		}
	}()
	// A list: from its front to its back.
	for i := 0; i < *each; i++ {
		r := &request{answer: make(chan int)}
		linked.PushBack(r)
		go waitList(r.answer)
	}
	go func() {
		for {
			r := linked.Remove(linked.Front()).(*request)
			rest()
			linked.PushBack(r)
			rest()
		}
	}()
	for i := 0; i < *each; i++ {
		c := make(chan int)
		go waitRelay(c)
		go relay(&request{answer: c})
		d := make(chan int)
		go waitTimer(d)
		rearm(&request{answer: d})
	}
	// Slots among which pointers swap places.
	for i := 0; i < *each; i++ {
		r := &request{answer: make(chan int)}
		slots[i].Store(r)
		go waitPointer(r.answer)
	}
	go func() {
		for {
			r := slots[rand.Intn(len(slots))].Swap(nil)
			if r == nil {
				continue
			}
			rest()
			for !slots[rand.Intn(len(slots))].CompareAndSwap(nil, r) {
			}
			rest()
		}
	}()
	// A WaitGroup in an object that is copied from place to place deep in the heap.
	type task struct{ group *sync.WaitGroup }
	for i := 0; i < *each; i++ {
		group := new(sync.WaitGroup)
		group.Add(1)
		go waitGroup(group)
		go func() {
			stack := []*task{{group}}
			for {
				last := stack[len(stack)-1]
				if len(stack) > 50 {
					stack = nil
				}
				stack = append(stack, &task{last.group})
				rest()
			}
		}()
	}
	time.Sleep(100 * time.Millisecond)
	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "pprof": listener.Addr().String()})
	io.Copy(io.Discard, os.Stdin)
}
