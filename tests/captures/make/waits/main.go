// Command waits parks goroutines in every way it knows, then writes its own profiles into a
// directory. What it writes are the recorded captures of tests/captures/pprof.
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

func main() {
	out := flag.String("out", "", "directory to write the profiles into")
	wait := flag.Duration("wait", 0, "how long the goroutines stay parked before they are recorded")
	crash := flag.Bool("crash", false, "end with a panic, which dumps the goroutines to stderr")
	flag.Parse()

	runtime.MemProfileRate = 4096
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)

	parkChannels()
	parkLocks()
	parkSystem()
	parkShapes()
	parkReleases()
	parkForeign()
	leak()
	grow()
	contend()

	time.Sleep(300 * time.Millisecond)
	runtime.GC() // sets waitsince of what is parked
	time.Sleep(*wait)
	debug.SetGCPercent(-1) // nothing moves any more
	if *crash {
		crashDeep(3)
	}
	for _, name := range []string{"goroutine", "goroutineleak", "heap", "block", "mutex"} {
		profile := pprof.Lookup(name)
		if profile == nil {
			continue
		}
		record(*out, name+".0.pb", profile, 0)
		if name == "goroutine" || name == "goroutineleak" {
			record(*out, name+".1.txt", profile, 1)
			record(*out, name+".2.txt", profile, 2)
		}
	}
}

func record(directory, name string, profile *pprof.Profile, debugLevel int) {
	file, err := os.Create(filepath.Join(directory, name))
	if err != nil {
		log.Fatal(err)
	}
	if err := profile.WriteTo(file, debugLevel); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
}

//go:noinline
func crashDeep(n int) {
	if n == 0 {
		panic("recorded on purpose\n\nwith an empty line")
	}
	crashDeep(n - 1)
}

var kept [][]byte

// grow leaves live and dead allocations of several sizes at one stack and at several.
func grow() {
	for i := 0; i < 400; i++ {
		kept = append(kept, keepSome(64<<(i%6)))
		_ = throwAway(1000 + i)
	}
	runtime.GC()
	runtime.GC()
}

//go:noinline
func keepSome(n int) []byte { return make([]byte, n) }

//go:noinline
func throwAway(n int) int { return cap(append([]byte(nil), make([]byte, n)...)) }
