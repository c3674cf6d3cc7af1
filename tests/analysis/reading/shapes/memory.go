package shapes

import (
	"container/list"
	"io"
	"os"
	"strings"
	"sync"
)

type cache struct {
	entries map[string][]byte
	history []string
	order   list.List
	shared  sync.Map
	bounded map[string][]byte
}

var seen = map[string]bool{}

func (c *cache) remembers(key string) []byte {
	if found, ok := c.entries[key]; ok {
		return found
	}
	entry := make([]byte, 4096) // WHY: grows
	c.entries[key] = entry
	return entry
}

func (c *cache) logs(line string) {
	c.history = append(c.history, strings.ToUpper(line)) // WHY: grows
}

func (c *cache) lists(line string) {
	c.order.PushBack(strings.Clone(line)) // WHY: grows
}

func (c *cache) shares(key string) {
	c.shared.Store(key, make([]byte, 64)) // WHY: grows
}

func marks(key string) {
	seen[strings.ToLower(key)] = true // WHY: grows
}

func (c *cache) keepsHead(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(file) // WHY: grows
	if err != nil {
		return err
	}
	head := data[:16]
	c.entries[path] = head
	return nil
}

func (c *cache) evicts(key string) {
	c.bounded[key] = make([]byte, 64) // WHY: perhaps grows
	if len(c.bounded) > 100 {
		for old := range c.bounded {
			delete(c.bounded, old)
			break
		}
	}
}

func churns(n int) (total int) {
	for range n {
		buffer := make([]byte, 4096) // WHY: nothing
		total += len(buffer)
	}
	return total
}
