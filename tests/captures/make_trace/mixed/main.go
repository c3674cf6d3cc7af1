// Command mixed records an execution trace with something of everything the format knows, on any number
// of processors: blocks of many kinds, coroutines, collections, user tasks and regions, system calls,
// samples of the CPU profile and, with cgo, calls from C into Go.
//
//	mixed -seconds 1.5 -procs 8 [-profile] OUTPUT
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"time"
)

var kept atomic.Pointer[[]byte]

// allocate keeps the collector busy.
func allocate(stop <-chan struct{}) {
	for size := 1 << 10; ; size = size*3/2 + 1 {
		select {
		case <-stop:
			return
		default:
		}
		if size > 1<<20 {
			size = 1 << 10
			time.Sleep(15 * time.Millisecond)
		}
		block := make([]byte, size)
		kept.Store(&block)
	}
}

// pingPong hands a value back and forth over channels without buffer.
func pingPong(stop <-chan struct{}) {
	to, from := make(chan int), make(chan int)
	go func() {
		defer close(from)
		for value := range to {
			from <- value + 1
		}
	}()
	defer close(to)
	for value := 0; ; {
		select {
		case <-stop:
			return
		case to <- value:
			value = <-from
		}
		if value%20 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// contend fights for a lock and waits for a condition.
func contend(stop <-chan struct{}) {
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	turn := 0
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		i := i
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				select {
				case <-stop:
					mu.Lock()
					turn = -1
					cond.Broadcast()
					mu.Unlock()
					return
				default:
				}
				mu.Lock()
				for turn >= 0 && turn%4 != i {
					cond.Wait()
				}
				if turn < 0 {
					mu.Unlock()
					return
				}
				turn++
				rest := turn%8 == 0
				cond.Broadcast()
				mu.Unlock()
				if rest {
					time.Sleep(500 * time.Microsecond)
				}
			}
		}()
	}
	group.Wait()
}

// generations starts goroutines that start goroutines.
func generations(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		var group sync.WaitGroup
		for i := 0; i < 8; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				group.Add(1)
				go grandchild(&group)
			}()
		}
		group.Wait()
		time.Sleep(time.Millisecond)
	}
}

func grandchild(group *sync.WaitGroup) {
	defer group.Done()
	runtime.Gosched()
}

// echo talks over a socket.
func echo(stop <-chan struct{}) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		io.Copy(conn, conn)
		conn.Close()
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 64)
	for round := 0; ; round++ {
		if round%8 == 0 {
			time.Sleep(4 * time.Millisecond)
		}
		select {
		case <-stop:
			return
		default:
		}
		if _, err := conn.Write(buffer); err != nil {
			log.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buffer); err != nil {
			log.Fatal(err)
		}
	}
}

// calls enters the kernel for things that take time there.
func calls(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		read, write, err := os.Pipe()
		if err != nil {
			log.Fatal(err)
		}
		file, err := os.CreateTemp("", "mixed")
		if err != nil {
			log.Fatal(err)
		}
		file.Write(make([]byte, 1<<16))
		file.Sync()
		file.Close()
		os.Remove(file.Name())
		go func() {
			time.Sleep(time.Millisecond)
			write.Write([]byte("x"))
			write.Close()
		}()
		io.ReadAll(read)
		read.Close()
		time.Sleep(time.Millisecond)
	}
}

// annotate uses what runtime/trace offers its user.
func annotate(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		ctx, task := trace.NewTask(context.Background(), "order")
		trace.WithRegion(ctx, "price", func() {
			trace.Log(ctx, "item", "shoe")
			region := trace.StartRegion(ctx, "stock")
			time.Sleep(time.Millisecond)
			region.End()
		})
		task.End()
	}
}

// spin uses a processor until it is preempted.
func spin(stop <-chan struct{}) {
	for i := uint64(0); ; i++ {
		if i%(1<<22) == 0 {
			select {
			case <-stop:
				return
			default:
			}
		}
	}
}

func main() {
	seconds := flag.Float64("seconds", 1.5, "length of the trace")
	procs := flag.Int("procs", 8, "GOMAXPROCS")
	profile := flag.Bool("profile", false, "take a CPU profile meanwhile")
	flag.Parse()
	runtime.GOMAXPROCS(*procs)
	file, err := os.Create(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	start := func(work func(<-chan struct{})) {
		group.Add(1)
		go func() {
			defer group.Done()
			work(stop)
		}()
	}
	works := []func(<-chan struct{}){allocate, pingPong, contend, generations, echo, calls, annotate, spin}
	works = append(works, coroutines...)
	works = append(works, foreign...)
	for _, work := range works[:len(works)/2] {
		start(work) // under way already when the trace begins
	}
	if *profile {
		if err := pprof.StartCPUProfile(io.Discard); err != nil {
			log.Fatal(err)
		}
	}
	if err := trace.Start(file); err != nil {
		log.Fatal(err)
	}
	for _, work := range works[len(works)/2:] {
		start(work)
	}
	for i := 0; i < 3; i++ {
		start(pingPong)
		start(echo)
	}
	time.Sleep(time.Duration(*seconds * float64(time.Second)))
	trace.Stop()
	if *profile {
		pprof.StopCPUProfile()
	}
	close(stop)
	group.Wait()
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
}
