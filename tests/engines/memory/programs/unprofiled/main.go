// Command unprofiled links no heap profiler: the linker turns sampling off (runtime.MemProfileRate is 0).
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
)

var kept [][]byte

func main() {
	for range 100 {
		kept = append(kept, make([]byte, 100_000))
	}
	runtime.GC()
	fmt.Println(`{"ready": true}`)
	io.Copy(io.Discard, os.Stdin)
}
