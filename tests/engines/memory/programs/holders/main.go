// Command holders keeps one object in each of many ways, and says where each is. The collector is off, so
// that what nothing holds is still there to be asked about.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

type widget struct {
	id    int
	label string
	next  *widget
	extra [4]uintptr
}

func (w *widget) String() string { return w.label }

type inner struct {
	count int
	deep  *widget
}

type outer struct {
	name string
	in   inner
}

type session struct {
	key    string
	widget *widget
	tags   []string
}

type node struct {
	value *widget
	next  *node
}

type record struct {
	stamp  int
	widget *widget
}

type blob struct {
	kind int
	data []byte
}

type ring struct {
	peer *ring
	body *widget
}

type keeper struct {
	name string
	body *widget
}

type contextKey struct{}

var (
	never     = make(chan int)
	registry  = map[string]*widget{}
	records   = map[int]record{}
	widgets   []*widget
	many      []*session
	nested    outer
	queue     = make(chan *widget, 4)
	callback  func() string
	stringer  fmt.Stringer
	shared    sync.Map
	list      *node
	label     *string
	holder    *blob
	table     [4]*widget
	boxed     any
	outcome   chan *widget
	lastNames []string
)

var addresses = map[string]string{}

func say(name string, pointer unsafe.Pointer) {
	addresses[name] = strconv.FormatUint(uint64(uintptr(pointer)), 16)
}

//go:noinline
func make1(name string) *widget {
	w := &widget{id: len(addresses), label: "w-" + strconv.Itoa(len(addresses))}
	say(name, unsafe.Pointer(w))
	return w
}

//go:noinline
func use(w *widget) { lastNames = append(lastNames, w.label) }

//go:noinline
func useInner(i *inner) { use(i.deep) }

//go:noinline
func keepLocal(ready *sync.WaitGroup) {
	w := make1("local")
	ready.Done()
	<-never
	use(w)
}

//go:noinline
func keepArgument(ready *sync.WaitGroup, w *widget) {
	ready.Done()
	<-never
	use(w)
}

//go:noinline
func keepDead(ready *sync.WaitGroup) {
	w := make1("dead slot")
	use(w)
	ready.Done()
	<-never
}

//go:noinline
func keepStackObject(ready *sync.WaitGroup) {
	i := inner{deep: make1("stack object")}
	useInner(&i)
	ready.Done()
	<-never
	useInner(&i)
}

//go:noinline
func keepDeadStackObject(ready *sync.WaitGroup) {
	i := inner{deep: make1("dead stack object")}
	useInner(&i)
	ready.Done()
	<-never
}

//go:noinline
func keepContext(ready *sync.WaitGroup) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey{}, make1("context value")))
	ready.Done()
	<-never
	cancel()
	fmt.Fprintln(io.Discard, ctx.Value(contextKey{}))
}

//go:noinline
func keepDeferred(ready *sync.WaitGroup) {
	w := make1("deferred")
	for i := 0; i < 2; i++ {
		defer func() { use(w) }()
	}
	ready.Done()
	<-never
}

//go:noinline
func keepSending(ready *sync.WaitGroup) {
	w := make1("blocked send")
	ready.Done()
	outcome <- w
}

//go:noinline
func keepInClosure(w *widget) func() string {
	n := len(addresses)
	return func() string { return w.label + strconv.Itoa(n) }
}

//go:noinline
func drop() {
	a, b := &ring{}, &ring{body: make1("unreachable")}
	a.peer, b.peer = b, a
	say("cycle", unsafe.Pointer(a))
}

//go:noinline
func holdInGlobals() {
	for i := 0; i < 40; i++ {
		registry["key-"+strconv.Itoa(i)] = make1("map value")
		records[i] = record{i, make1("map struct value")}
	}
	for i := 0; i < 5; i++ {
		widgets = append(widgets, make1("slice element"))
	}
	for i := 0; i < 3000; i++ {
		many = append(many, &session{key: "s", widget: make1("large slice"), tags: []string{"a"}})
	}
	nested.in.deep = make1("nested field")
	queue <- make1("channel buffer")
	callback = keepInClosure(make1("closure"))
	stringer = make1("interface")
	shared.Store("key", make1("sync.Map"))
	for i := range 4 {
		name := "linked list, node " + strconv.Itoa(i)
		list = &node{value: make1(name), next: list}
	}
	w := make1("interior")
	label = &w.label
	holder = &blob{data: make([]byte, 100)}
	say("bytes", unsafe.Pointer(&holder.data[0]))
	table[2] = make1("global array")
	boxed = record{widget: make1("boxed struct")}
	outcome = make(chan *widget)
}

//go:noinline
func holdInRuntime() {
	k := &keeper{name: "k", body: make1("finalizer")}
	runtime.SetFinalizer(k, func(k *keeper) { use(k.body) })
	held := make1("finalizer function")
	other := &keeper{name: "other"}
	runtime.SetFinalizer(other, func(*keeper) { use(held) })
	w := make1("timer")
	time.AfterFunc(24*time.Hour, func() { use(w) })
	holdInCleanup()
}

func main() {
	debug.SetGCPercent(-1)
	size := 0
	if len(os.Args) > 1 {
		size, _ = strconv.Atoi(os.Args[1])
	}
	holdInGlobals()
	holdInRuntime()
	drop()
	var ready sync.WaitGroup
	for _, f := range []func(*sync.WaitGroup){
		keepLocal, keepDead, keepStackObject, keepDeadStackObject, keepContext, keepDeferred, keepSending,
	} {
		ready.Add(1)
		go f(&ready)
		ready.Wait()
	}
	ready.Add(1)
	go keepArgument(&ready, make1("argument"))
	ready.Wait()
	ballast := fill(size)
	time.Sleep(50 * time.Millisecond)
	json.NewEncoder(os.Stdout).Encode(map[string]any{"ready": true, "addresses": addresses})
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(ballast)
}

type branch struct {
	left, right *branch
	data        []byte
	key         int
}

// fill makes about size MB of objects, half of them without pointers.
//
//go:noinline
func fill(size int) []*branch {
	var all []*branch
	for i := 0; i < size*16; i++ {
		var last *branch
		for range 256 {
			last = &branch{left: last, key: i}
			last.data = make([]byte, 48)
			last.right = last.left
		}
		for range 256 {
			last = &branch{left: last, key: i}
		}
		last.data = make([]byte, 30000)
		all = append(all, last)
	}
	return all
}
