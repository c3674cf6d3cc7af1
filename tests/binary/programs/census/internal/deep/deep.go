// Package deep has a path without a dot, like a package of the standard library.
package deep

// Down calls visit from n frames below.
func Down(n int, visit func()) {
	if n == 0 {
		visit()
		return
	}
	Down(n-1, visit)
}

// Pair is generic over two types.
type Pair[K comparable, V any] struct {
	Key   K
	Value V
}

// Each calls visit.
//
//go:noinline
func (p Pair[K, V]) Each(visit func()) { visit() }
