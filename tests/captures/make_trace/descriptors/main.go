// Command descriptors records an execution trace of calls that open and close descriptors, each in a
// function of its own and as often as COUNT says, so that what a trace shows of them can be compared.
//
//	descriptors FILE
package main

import (
	"io"
	"log"
	"net"
	"os"
	"runtime/trace"
	"syscall"
	"time"
)

const COUNT = 10

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

//go:noinline
func openClose() {
	f, err := os.Open(os.DevNull)
	check(err)
	f.Close()
}

var kept []any

//go:noinline
func openKeep() {
	f, err := os.Open(os.DevNull)
	check(err)
	kept = append(kept, f)
}

//go:noinline
func openMissing() {
	os.Open("/nothing/here")
}

//go:noinline
func openHanded(to chan *os.File) { // closed by another goroutine
	f, err := os.Open(os.DevNull)
	check(err)
	to <- f
}

//go:noinline
func leakBesideClosed() { // two at once: the one that is closed is the older
	f, err := os.Open(os.DevNull)
	check(err)
	defer f.Close()
	openKept()
}

//go:noinline
func openKept() {
	f, err := os.Open(os.DevNull)
	check(err)
	kept = append(kept, f)
}

//go:noinline
func createRemove() {
	f, err := os.CreateTemp("", "")
	check(err)
	os.Remove(f.Name())
	f.Close()
}

//go:noinline
func readDir() {
	os.ReadDir("/")
}

//go:noinline
func pipeClose() {
	r, w, err := os.Pipe()
	check(err)
	r.Close()
	w.Close()
}

//go:noinline
func dialClose(address string) {
	c, err := net.Dial("tcp", address)
	check(err)
	c.Close()
}

//go:noinline
func dialKeep(address string) {
	c, err := net.Dial("tcp", address)
	check(err)
	kept = append(kept, c)
}

//go:noinline
func listenClose() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	l.Close()
}

//go:noinline
func rawOpenClose() {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	check(err)
	syscall.Close(fd)
}

//go:noinline
func rawDup() {
	fd, err := syscall.Dup(1)
	check(err)
	syscall.Close(fd)
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	handed := make(chan *os.File)
	go func() {
		for f := range handed {
			f.Close()
		}
	}()
	file, err := os.Create(os.Args[1])
	check(err)
	check(trace.Start(file))
	for range COUNT {
		openClose()
		openKeep()
		openMissing()
		openHanded(handed)
		leakBesideClosed()
		createRemove()
		readDir()
		pipeClose()
		dialClose(l.Addr().String())
		dialKeep(l.Addr().String())
		listenClose()
		rawOpenClose()
		rawDup()
	}
	time.Sleep(20 * time.Millisecond)
	trace.Stop()
	check(file.Close())
}
