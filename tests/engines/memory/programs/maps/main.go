// Command maps keeps maps of many types and sizes, and says where they are and what is in them.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"unsafe"
)

type point struct {
	X int32
	Y int64
	B byte
}

type wide struct{ Words [32]uint64 }

// entry is a key and a value as text.
type entry [2]string

type described struct {
	Name    string  `json:"name"`
	Address uintptr `json:"address"`
	Type    uintptr `json:"type"`
	Count   int     `json:"count"`
	Entries []entry `json:"entries"`
}

var (
	all  []described
	kept []any
)

// describe says where m is; show makes text of a key and of a value.
func describe[K comparable, V any](name string, m map[K]V, show func(K, V) entry) {
	kept = append(kept, m)
	var boxed any = m
	words := (*[2]uintptr)(unsafe.Pointer(&boxed))
	d := described{Name: name, Address: words[1], Type: words[0], Count: len(m)}
	for k, v := range m {
		d.Entries = append(d.Entries, show(k, v))
	}
	all = append(all, d)
}

func ints(name string, n int, hint int) map[int]int {
	m := make(map[int]int, hint)
	for i := range n {
		m[i*7919] = -i
	}
	describe(name, m, func(k, v int) entry { return entry{fmt.Sprint(k), fmt.Sprint(v)} })
	return m
}

func main() {
	sizes := []int{0, 3, 8, 100, 100000}
	for _, n := range sizes {
		ints(fmt.Sprintf("int-%d", n), n, 0)
		if n == 100000 {
			continue
		}
		texts := map[string]string{}
		pointers := map[*point]uint32{}
		structs := map[point]string{}
		bytes := map[byte]struct{}{}
		wides := map[wide]wide{}
		faces := map[any]bool{}
		streams := map[uint32]*point{}
		for i := range n {
			texts[fmt.Sprintf("key %d ü", i)] = fmt.Sprintf("value %d", i)
			pointers[&point{X: int32(i)}] = uint32(i)
			structs[point{int32(i), int64(-i), byte(i)}] = fmt.Sprint(i)
			bytes[byte(i)] = struct{}{}
			wides[wide{[32]uint64{0: uint64(i)}}] = wide{[32]uint64{31: uint64(i)}}
			faces[fmt.Sprint(i)] = i%2 == 0
			streams[uint32(2*i+1)] = &point{X: int32(i)}
		}
		describe(fmt.Sprintf("string-%d", n), texts, func(k, v string) entry { return entry{k, v} })
		describe(fmt.Sprintf("pointer-%d", n), pointers, func(k *point, v uint32) entry {
			return entry{fmt.Sprint(uintptr(unsafe.Pointer(k))), fmt.Sprint(v)}
		})
		describe(fmt.Sprintf("struct-%d", n), structs, func(k point, v string) entry {
			return entry{fmt.Sprintf("%d %d %d", k.X, k.Y, k.B), v}
		})
		describe(fmt.Sprintf("byte-%d", n), bytes, func(k byte, _ struct{}) entry { return entry{fmt.Sprint(k), ""} })
		describe(fmt.Sprintf("wide-%d", n), wides, func(k, v wide) entry {
			return entry{fmt.Sprint(k.Words[0]), fmt.Sprint(v.Words[31])}
		})
		describe(fmt.Sprintf("any-%d", n), faces, func(k any, v bool) entry { return entry{k.(string), fmt.Sprint(v)} })
		describe(fmt.Sprintf("stream-%d", n), streams, func(k uint32, v *point) entry {
			return entry{fmt.Sprint(k), fmt.Sprint(v.X)}
		})
	}
	texts := map[string]string{}
	for i := range 100000 {
		texts[fmt.Sprint(i)] = fmt.Sprint(-i)
	}
	describe("string-100000", texts, func(k, v string) entry { return entry{k, v} })

	// In the middle of a growth: old maps move a few buckets at each insertion after the one that began it.
	for _, n := range []int{9, 14, 27, 53, 54, 105, 210, 834, 3330, 13320, 53249, 53300} {
		ints(fmt.Sprintf("growing-%d", n), n, 0)
	}
	// Larger than need be, with holes, and much changed.
	ints("hinted-50", 50, 1000)
	deleted := map[int]int{}
	for i := range 5000 {
		deleted[i] = i
	}
	for i := range 5000 {
		if i%50 != 0 {
			delete(deleted, i)
		}
	}
	show := func(k, v int) entry { return entry{fmt.Sprint(k), fmt.Sprint(v)} }
	describe("deleted-100", deleted, show)
	refilled := map[int]int{}
	for round := range 40 {
		for i := range 200 {
			refilled[round*200+i] = i
			if round > 0 {
				delete(refilled, (round-1)*200+i)
			}
		}
	}
	describe("refilled-200", refilled, show) // many overflow buckets: an old map grows to the same size
	var none map[int]int
	describe("nil", none, show)

	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "maps": all})
	io.Copy(io.Discard, os.Stdin)
	fmt.Fprint(io.Discard, kept)
}
