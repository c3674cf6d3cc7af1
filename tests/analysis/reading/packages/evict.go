package packages

func (s *store) evict(key string) {
	delete(s.evicted, key)
}

type elsewhere struct {
	kept map[string][]byte
}

// Another type's field, and a parameter of the same name: neither is what store.go fills.
func (e *elsewhere) drop(key string) { delete(e.kept, key) }

func forget(seen map[string][]byte, key string) {
	delete(seen, key)
}

func prune(key string) {
	delete(pruned, key)
}

type byKey map[string][]byte

type (
	table [][]byte
	_     struct{ fixed map[string]int }
)
