// Command census tells the truth about itself: what the runtime makes of its own program counters.
//
// It prints one JSON object: the mappings of the process, the call frames of instructions spread over the
// whole text, and the program counters and frames of real stacks.
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"reflect"
	"runtime"

	"census/internal/deep"
)

type frame struct {
	Function string
	File     string
	Line     int
	Inlined  bool
}

type place struct {
	PC     uint64
	Entry  uint64
	Frames []frame
}

// A stack is what runtime.Callers returned, with the frames of all of it together.
type stack struct {
	PCs    []uintptr
	Frames []frame
}

type census struct {
	Version string
	Maps    string
	Text    []place
	Stacks  []stack
	Entries map[string]uint64
}

func framesOf(pcs ...uintptr) []frame {
	var found []frame
	iterator := runtime.CallersFrames(pcs)
	for {
		next, more := iterator.Next()
		if next.Function != "" {
			found = append(found, frame{next.Function, next.File, next.Line, next.Func == nil})
		}
		if !more {
			return found
		}
	}
}

// text walks from the middle of the text in both directions until the runtime knows no function.
//
// Since Go 1.23 the frames around an inlined call are told if another pc follows: one does, and is dropped.
func text(middle, stride uintptr) []place {
	var found []place
	next := middle + 1
	record := func(pc uintptr) bool {
		function := runtime.FuncForPC(pc)
		if function == nil {
			return false
		}
		found = append(found, place{uint64(pc), uint64(function.Entry()), framesOf(pc, next)})
		last := &found[len(found)-1]
		last.Frames = last.Frames[:len(last.Frames)-1]
		return true
	}
	for pc := middle; record(pc); pc -= stride {
	}
	for pc := middle + stride; record(pc); pc += stride {
	}
	return found
}

var stacks []stack

//go:noinline
func keep() {
	pcs := make([]uintptr, 64)
	pcs = pcs[:runtime.Callers(2, pcs)]
	stacks = append(stacks, stack{pcs, framesOf(pcs...)})
}

type inner struct{ name string }

func (i *inner) Visit(visit func()) { visit() }

type outer struct{ *inner }

type visitor interface{ Visit(func()) }

func inlined(visit func()) { twice(visit) }

func twice(visit func()) { visit() }

//go:noinline
func generic[T any](value T, visit func()) T {
	visit()
	return value
}

// The functions below exist for the tests of output types and call sites; each is called once.

func status(url string) (int, error) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, nil
}

//go:noinline
func fetch(client *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

//go:noinline
func body(client *http.Client, url string) (rest io.ReadCloser, length int64, err error) {
	response, err := fetch(client, url)
	if err != nil {
		return nil, 0, err
	}
	return response.Body, response.ContentLength, nil
}

func small(name string) (*os.File, error) { return os.Open(name) }

//go:noinline
func slurp(name string) []byte {
	file, err := small(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	content, _ := io.ReadAll(file)
	return content
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--wait" {
		io.Copy(io.Discard, os.Stdin)
		return
	}
	keep()
	inlined(keep)
	var through visitor = outer{&inner{"wrapped"}}
	through.Visit(keep)
	generic(3, keep)
	generic("three", func() { inlined(keep) })
	deep.Down(3, keep)
	deep.Pair[string, int]{}.Each(keep)
	func() {
		defer keep()
		deep.Down(1, func() { defer inlined(keep) })
	}()
	done := make(chan bool)
	go func() { deep.Down(2, keep); close(done) }()
	<-done

	if len(os.Args) > 2 {
		status(os.Args[1])
		body(http.DefaultClient, os.Args[2])
	}
	middle := reflect.ValueOf(main).Pointer()
	out := census{
		Version: runtime.Version(),
		Maps:    string(slurp("/proc/self/maps")),
		Text:    text(middle, 241),
		Stacks:  stacks,
		Entries: map[string]uint64{
			"main.main":                 uint64(middle),
			"main.slurp":                uint64(reflect.ValueOf(slurp).Pointer()),
			"census/internal/deep.Down": uint64(reflect.ValueOf(deep.Down).Pointer()),
			"net/http.NewRequest":       uint64(reflect.ValueOf(http.NewRequest).Pointer()),
		},
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
}
