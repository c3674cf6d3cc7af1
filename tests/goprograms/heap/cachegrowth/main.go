// A thumbnail cache keyed by URL and size, with no limit and no expiry.
package main

import (
	"fmt"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

const thumbnail = 64 << 10

type cache struct {
	mu      sync.RWMutex
	entries map[string][]byte
	limit   int
}

func (c *cache) thumbnail(url string, width int) []byte {
	key := fmt.Sprintf("%s@%d", url, width)
	c.mu.RLock()
	image, ok := c.entries[key]
	c.mu.RUnlock()
	if ok {
		return image
	}
	image = render(url, width) // LEAK-ALSO: main.(*cache).thumbnail
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit > 0 && len(c.entries) >= c.limit {
		for old := range c.entries {
			delete(c.entries, old)
			truth.Closed("guilty")
			break
		}
	}
	c.entries[key] = image
	truth.Opened("guilty")
	return image
}

//go:noinline
func render(url string, width int) []byte {
	image := make([]byte, thumbnail) // LEAK: heap main.render
	for i := range image {
		image[i] = byte(i*width + len(url))
	}
	return image
}

// report allocates as much and keeps nothing.
func report(lines int) int {
	var total int
	for i := range lines {
		buffer := make([]byte, 4096+i)
		total += len(fmt.Append(buffer[:0], "line ", i))
	}
	return total
}

func main() {
	program := harness.Start()
	c := &cache{entries: map[string][]byte{}}
	if program.Fixed {
		c.limit = 20
	}
	program.Ready()
	program.Every(func(i int) {
		c.thumbnail(fmt.Sprintf("/products/%d.png", i), 128)
		report(32)
	})
}
