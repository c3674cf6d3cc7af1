// A history of rendered pages "for the undo button", global and without end.
package main

import (
	"fmt"
	"strings"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type editor struct {
	sync.Mutex
	undo []string
	keep int
}

var current = &editor{}

func (e *editor) edit(page, with string) {
	e.Lock()
	defer e.Unlock()
	e.undo = append(e.undo, strings.Repeat(page+with, 4096)) // LEAK: heap main.(*editor).edit
	truth.Opened("guilty")
	if e.keep > 0 && len(e.undo) > e.keep {
		e.undo = append([]string(nil), e.undo[len(e.undo)-e.keep:]...)
		truth.Closed("guilty")
	}
}

func preview(page string) int {
	return len(strings.Repeat(page, 8192))
}

func main() {
	program := harness.Start()
	if program.Fixed {
		current.keep = 10
	}
	program.Ready()
	program.Every(func(i int) {
		current.edit("lorem ipsum ", fmt.Sprintf("%04d", i%10000))
		preview("dolor sit amet ")
	})
}
