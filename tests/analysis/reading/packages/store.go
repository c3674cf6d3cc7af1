package packages

type store struct {
	kept    map[string][]byte
	evicted map[string][]byte
}

type Shared struct {
	Entries map[string][]byte
}

var seen = map[string][]byte{}

var pruned = map[string][]byte{}

func (s *store) keep(key string) {
	s.kept[key] = make([]byte, 1<<16) // WHY: grows: nothing in this package takes anything out
}

func (s *store) cache(key string) {
	s.evicted[key] = make([]byte, 1<<16) // WHY: perhaps grows: taken out of at evict.go:4 (store.evict)
}

func (s *Shared) add(key string) {
	s.Entries[key] = make([]byte, 1<<16) // WHY: perhaps grows: nothing in this package takes anything out
}

func see(key string) {
	seen[key] = make([]byte, 1<<16) // WHY: grows: nothing in this package takes anything out
}

func remember(key string) {
	pruned[key] = make([]byte, 1<<16) // WHY: perhaps grows: taken out of at evict.go:19 (prune)
}

type ring struct {
	slots [][]byte
	fixed [8][]byte
	named byKey
	other table
}

func (r *ring) replace(i int) {
	r.slots[i] = make([]byte, 1<<16) // WHY: nothing
}

func (r *ring) overwrite(i int) {
	r.fixed[i%8] = make([]byte, 1<<16) // WHY: nothing
}

func (r *ring) nameIt(key string) {
	r.named[key] = make([]byte, 1<<16) // WHY: grows: r.named only ever grows
}

func (r *ring) listIt(i int) {
	r.other[i] = make([]byte, 1<<16) // WHY: nothing
}

func fill(into map[string][]byte, key string) {
	into[key] = make([]byte, 1<<16) // WHY: perhaps grows: into only ever grows
}
