// Package journal keeps entries of any type in a linked list.
package journal

import "container/list"

// Journal remembers everything, or the last Keep entries.
type Journal[T any] struct {
	Keep    int
	entries list.List
}

type entry[T any] struct {
	seq   int
	value T
}

// Add appends value and returns how many entries it had to forget.
func (j *Journal[T]) Add(value T) (forgotten int) {
	j.entries.PushBack(&entry[T]{j.entries.Len(), value}) // LEAK: heap example.com/goprograms/heap/listgrowth/journal.(*Journal[...]).Add
	for j.Keep > 0 && j.entries.Len() > j.Keep {
		j.entries.Remove(j.entries.Front())
		forgotten++
	}
	return forgotten
}
