// HEALTHY: a least-recently-used cache that is full from the start and stays so.
package main

import (
	"container/list"
	"fmt"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type entry struct {
	key   string
	value []byte
}

type lru struct {
	mu    sync.Mutex
	order *list.List
	byKey map[string]*list.Element
	limit int
}

func (c *lru) get(key string, size int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byKey[key]; ok {
		c.order.MoveToFront(element)
		return element.Value.(*entry).value
	}
	value := make([]byte, size)
	copy(value, key)
	c.byKey[key] = c.order.PushFront(&entry{key, value})
	truth.Opened("entry")
	if c.order.Len() > c.limit {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.byKey, oldest.Value.(*entry).key)
		truth.Closed("entry")
	}
	return value
}

func main() {
	program := harness.Start()
	c := &lru{order: list.New(), byKey: map[string]*list.Element{}, limit: 200}
	for i := range 250 {
		c.get(fmt.Sprint("page-", i), 64<<10)
	}
	program.Ready()
	program.Every(func(i int) {
		c.get(fmt.Sprint("page-", 250+i), 64<<10)
		c.get(fmt.Sprint("page-", 200+i), 64<<10)
	})
}
