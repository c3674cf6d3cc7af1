// Package truth counts what a program really opened and closed, by call site, so that a test can
// compare what leaktui says with what happened. The site "guilty" is the one marked LEAK in the
// source; every other site must not be blamed.
package truth

import (
	"encoding/json"
	"sync"
)

// Count is what one call site opened and closed so far.
type Count struct {
	Opened int64 `json:"opened"`
	Closed int64 `json:"closed"`
	Leaked int64 `json:"leaked"`
}

var (
	mu    sync.Mutex
	sites = map[string]*Count{}
)

// Opened records that site got hold of something it has to give back.
func Opened(site string) {
	mu.Lock()
	defer mu.Unlock()
	at(site).Opened++
}

// Closed records that site gave one back.
func Closed(site string) {
	mu.Lock()
	defer mu.Unlock()
	at(site).Closed++
}

func at(site string) *Count {
	count := sites[site]
	if count == nil {
		count = &Count{}
		sites[site] = count
	}
	return count
}

// JSON is one line: {"truth":{"site":{"opened":1,"closed":1,"leaked":0}}}.
func JSON() []byte {
	mu.Lock()
	defer mu.Unlock()
	for _, count := range sites {
		count.Leaked = count.Opened - count.Closed
	}
	line, err := json.Marshal(map[string]any{"truth": sites})
	if err != nil {
		panic(err)
	}
	return append(line, '\n')
}
