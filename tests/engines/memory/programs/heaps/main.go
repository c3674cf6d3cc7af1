// Command heaps holds objects of known sizes and types, drops others, and says what it did.
//
// On stdin: "objects" prints where objects are and what they are, "memory" the runtime's own figures, "gc"
// runs a full collection, "churn" allocates until told "still".
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"
)

// Node has pointers at words 0 and 2.
type Node struct {
	next  *Node
	value uint64
	name  *string
	rest  [2]uint64
}

// Wide is larger than 512 bytes: pointers at words 0 and 99 of 100.
type Wide struct {
	first *Node
	rest  [98]uint64
	last  *Node
}

// Huge has an allocation of its own: pointers at words 0 and 8191 of 8192.
type Huge struct {
	first *Node
	rest  [8190]uint64
	last  *Node
}

// Vast has so many pointers that the compiler describes them by a program or on demand.
type Vast struct {
	pairs [40000]struct {
		to    *Node
		count uint64
	}
}

// Object is one allocation as the program knows it.
type Object struct {
	Address  uintptr `json:"address"`
	Size     uintptr `json:"size"`
	Type     string  `json:"type"`
	Count    int     `json:"count"`
	Live     bool    `json:"live"`
	Pointers []int   `json:"pointers"`
	NoScan   bool    `json:"noscan"`
}

var (
	keptNodes  []*Node
	keptWides  []*Wide
	keptHuges  []*Huge
	keptSlices [][]Wide
	keptTables [][]*Node
	keptBytes  [][]byte
	keptVast   *Vast
	keptVasts  []Vast
	told       []Object
	churning   atomic.Bool
	sink       any
)

func tell(address unsafe.Pointer, size uintptr, name string, count int, live bool, pointers ...int) {
	told = append(told, Object{uintptr(address), size, name, count, live, pointers, pointers == nil})
}

//go:noinline
func makeNode(live bool) *Node {
	node := &Node{value: 7}
	tell(unsafe.Pointer(node), unsafe.Sizeof(*node), "main.Node", 1, live, 0, 2)
	return node
}

//go:noinline
func makeWide(live bool) *Wide {
	wide := &Wide{}
	tell(unsafe.Pointer(wide), unsafe.Sizeof(*wide), "main.Wide", 1, live, 0, 99)
	return wide
}

//go:noinline
func makeHuge(live bool) *Huge {
	huge := &Huge{}
	tell(unsafe.Pointer(huge), unsafe.Sizeof(*huge), "main.Huge", 1, live, 0, 8191)
	return huge
}

//go:noinline
func makeBytes(size int, live bool) []byte {
	bytes := make([]byte, size)
	bytes[0] = 1
	tell(unsafe.Pointer(&bytes[0]), uintptr(size), "", 1, live)
	return bytes
}

func fill(count int) {
	for i := range count {
		live := i%3 != 0
		node, wide, bytes := makeNode(live), makeWide(live), makeBytes(17+i*37%5000, live)
		if live {
			keptNodes, keptWides, keptBytes = append(keptNodes, node), append(keptWides, wide), append(keptBytes, bytes)
		}
		if i%50 == 0 {
			huge, large := makeHuge(i%100 == 0), makeBytes(40000+i, i%100 == 0)
			if i%100 == 0 {
				keptHuges, keptBytes = append(keptHuges, huge), append(keptBytes, large)
			}
		}
	}
	slice := make([]Wide, 9)
	tell(unsafe.Pointer(&slice[0]), 9*unsafe.Sizeof(slice[0]), "main.Wide", 9, true, 0, 99, 100, 199)
	keptSlices = append(keptSlices, slice)
	table := make([]*Node, 300)
	tell(unsafe.Pointer(&table[0]), 2400, "*main.Node", 300, true, 0, 1, 2, 299)
	keptTables = append(keptTables, table)
	keptVast = new(Vast)
	tell(unsafe.Pointer(keptVast), unsafe.Sizeof(*keptVast), "main.Vast", 1, true, 0, 2, 79998)
	keptVasts = make([]Vast, 2)
	tell(unsafe.Pointer(&keptVasts[0]), 2*unsafe.Sizeof(*keptVast), "main.Vast", 2, true, 0, 2, 80000, 159998)
}

//go:noinline
func clearStack(depth int) int {
	var room [512]int
	if depth > 0 {
		room[depth%512] = clearStack(depth - 1)
	}
	return room[depth*7%512]
}

// path allocates at the end of a chain of calls that depends on the bits of number.
func path(number, depth int) {
	if depth == 0 {
		keptBytes = append(keptBytes, make([]byte, 64))
		return
	}
	if number&1 == 0 {
		even(number>>1, depth-1)
	} else {
		odd(number>>1, depth-1)
	}
}

//go:noinline
func even(number, depth int) { path(number, depth) }

//go:noinline
func odd(number, depth int) { path(number, depth) }

// step is inlined; the stack is deeper than what the profiler records.
func step(depth int) { deep(depth - 1) }

//go:noinline
func deep(depth int) {
	if depth == 0 {
		keptBytes = append(keptBytes, make([]byte, 9000))
		return
	}
	step(depth)
}

func churn() {
	for churning.Load() {
		live := make([]any, 0, 1000)
		for i := range 1000 {
			if i%2 == 0 {
				live = append(live, new(Node))
			} else {
				live = append(live, make([]byte, i*8))
			}
		}
		sink = live
	}
}

func memory() map[string]any {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	classes := map[uint32]uint64{}
	for _, class := range stats.BySize {
		classes[class.Size] = class.Mallocs - class.Frees
	}
	return map[string]any{
		"objects": stats.HeapObjects, "alloc": stats.HeapAlloc, "inuse": stats.HeapInuse,
		"stack": stats.StackInuse, "cycles": stats.NumGC, "classes": classes,
	}
}

func main() {
	count := flag.Int("n", 600, "objects of each kind")
	spans := flag.Int("spans", 0, "spans to fill besides")
	stacks := flag.Int("stacks", 8, "different stacks to allocate on")
	nogc := flag.Bool("nogc", false, "collect when told only")
	flag.Parse()
	if *nogc {
		debug.SetGCPercent(-1)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	fill(*count)
	for i := range *stacks {
		path(i, 15)
	}
	for depth := range 6 {
		deep(70 + depth)
		deep(170 + depth)
	}
	filling := make([][]byte, *spans)
	for i := range filling {
		filling[i] = make([]byte, 8192)
	}
	clearStack(20)
	runtime.GC()
	runtime.GC()
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]any{"ready": true, "pprof": listener.Addr().String()})
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch commands.Text() {
		case "objects":
			out.Encode(map[string]any{"objects": told})
		case "memory":
			out.Encode(map[string]any{"memory": memory()})
		case "gc":
			runtime.GC()
			out.Encode(map[string]any{"collected": true})
		case "churn":
			churning.Store(true)
			go churn()
			go churn()
			out.Encode(map[string]any{"churning": true})
		case "still":
			churning.Store(false)
			out.Encode(map[string]any{"still": true})
		}
	}
	runtime.KeepAlive(filling)
}
