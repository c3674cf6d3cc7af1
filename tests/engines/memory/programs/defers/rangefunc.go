//go:build go1.23

package main

func init() { more = append(more, rangeOver, rangeDone) }

// goroutine rangeOver
func count(yield func(int) bool) {
	defer note("iterator") // pending 1 main.note
	for i := range 3 {
		if !yield(i) {
			return
		}
	}
}

func rangeOver() {
	defer note("before") // pending 3 main.note record
	for i := range count {
		defer note(i) // pending 2 main.note record x2 unplaced
		if i == 1 {
			<-never
		}
	}
}

// goroutine rangeDone
func rangeDone() {
	defer note("before") // pending 2 main.note record
	for i := range count {
		defer note(i) // pending 1 main.note record x3 unplaced
	}
	<-never
}
