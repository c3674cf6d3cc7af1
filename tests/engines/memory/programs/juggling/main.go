// Command juggling keeps a few objects alive while it never stops moving them: between maps, slices, fields, a
// channel and the stacks of its goroutines. At any moment each is held somewhere.
package main

import (
	"encoding/json"
	"io"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

const balls, jugglers = 8, 4

type ball struct {
	number int
	label  string
	other  *ball
}

type hand struct {
	mutex sync.Mutex
	held  [balls]*ball
	shelf map[int]*ball
	pile  []*ball
}

var (
	hands [6]*hand
	air   = make(chan *ball, balls)
	waste [64][]byte
)

// take gives any ball of the hand, which then no longer has it; nil if it has none.
func (h *hand) take(way int) *ball {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	switch way {
	case 0:
		for i, b := range h.held {
			if b != nil {
				h.held[i] = nil
				return b
			}
		}
	case 1:
		for number, b := range h.shelf {
			delete(h.shelf, number)
			return b
		}
	case 2:
		if n := len(h.pile); n > 0 {
			b := h.pile[n-1]
			h.pile[n-1] = nil
			h.pile = h.pile[:n-1]
			return b
		}
	}
	return nil
}

func (h *hand) put(b *ball, way int) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	switch way {
	case 0:
		h.held[b.number] = b
	case 1:
		h.shelf[b.number] = b
	default:
		h.pile = append(h.pile, b)
	}
}

func juggle(random *rand.Rand) {
	for {
		var b *ball
		if random.Intn(4) == 0 {
			select {
			case b = <-air:
			default:
			}
		} else {
			b = hands[random.Intn(len(hands))].take(random.Intn(3))
		}
		if b == nil {
			continue
		}
		waste[random.Intn(len(waste))] = make([]byte, 100+random.Intn(2000))
		switch random.Intn(100) {
		case 0:
			time.Sleep(100 * time.Microsecond)
		case 1:
			runtime.Gosched()
		}
		if b.label != strconv.Itoa(b.number) {
			panic("a ball was lost")
		}
		if random.Intn(4) == 0 {
			air <- b
		} else {
			hands[random.Intn(len(hands))].put(b, random.Intn(3))
		}
	}
}

func main() {
	for i := range hands {
		hands[i] = &hand{shelf: map[int]*ball{}}
	}
	addresses := map[string]string{}
	for i := range balls {
		b := &ball{number: i, label: strconv.Itoa(i)}
		addresses[b.label] = strconv.FormatUint(uint64(uintptr(unsafe.Pointer(b))), 16)
		air <- b
	}
	for i := range jugglers {
		go juggle(rand.New(rand.NewSource(int64(i))))
	}
	go func() {
		for {
			time.Sleep(20 * time.Millisecond)
			runtime.GC()
		}
	}()
	time.Sleep(50 * time.Millisecond)
	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "addresses": addresses})
	io.Copy(io.Discard, os.Stdin)
}
