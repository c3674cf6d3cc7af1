// Makes large objects at two lines: those of one are kept, those of the other are not. On command, and counted.
//
// A command is "keep N SIZE", "drop N SIZE", "link N", "grow N SIZE" (append from nothing to SIZE), "release" (drop all
// that was kept), "collect" (two collections), "collectOnce", "churn N" (four goroutines make N each and keep the last
// few); the answer is {"done": {"kept": 3, "bytes": 300000, "cycles": 7}}.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

type table struct {
	next *table
	rows [9000]*int
}

var (
	kept   [][]byte
	tables *table
	sink   []byte
)

//go:noinline
func keep(size int) {
	kept = append(kept, make([]byte, size)) // KEPT
}

//go:noinline
func drop(size int) {
	sink = make([]byte, size) // DROPPED
}

//go:noinline
func link() {
	tables = &table{next: tables} // LINKED
}

//go:noinline
func grow(size int) {
	var buffer []byte
	for len(buffer) < size {
		buffer = append(buffer, make([]byte, 4096)...) // GROWN
	}
	kept = append(kept, buffer)
}

// churn leaves 4*16 objects alive, of sizes that tell them apart.
func churn(times int) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for worker := range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			ring := make([][]byte, 16)
			for i := range times {
				ring[i%len(ring)] = make([]byte, 33000+1000*((i+worker)%150)) // CHURNED
			}
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, ring...)
		}()
	}
	wait.Wait()
}

func main() {
	answers := json.NewEncoder(os.Stdout)
	answers.Encode(map[string]any{"ready": true})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text() + " 0 0")
		n, _ := strconv.Atoi(words[1])
		size, _ := strconv.Atoi(words[2])
		for range n {
			switch words[0] {
			case "keep":
				keep(size)
			case "drop":
				drop(size)
			case "link":
				link()
			case "grow":
				grow(size)
			}
		}
		switch words[0] {
		case "churn":
			churn(n)
		case "release":
			kept, tables, sink = nil, nil, nil
		case "collectOnce":
			runtime.GC()
		case "collect":
			runtime.GC()
			runtime.GC()
		}
		total := 0
		for _, item := range kept {
			total += len(item)
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		answers.Encode(map[string]any{"done": map[string]any{
			"kept": len(kept), "bytes": total, "cycles": stats.NumGC,
		}})
	}
}
