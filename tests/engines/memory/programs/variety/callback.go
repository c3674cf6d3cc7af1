//go:build cgo

package main

// #include <unistd.h>
// extern void parkInGo(int);
// static void call_back(int n) { parkInGo(n); }
// static void wait_in_c(void) { for (;;) pause(); }
import "C"

//export parkInGo
func parkInGo(n C.int) { deep(int(n)) }

func init() {
	more = append(more, func() {
		go func() { C.call_back(3) }()
		go func() { C.wait_in_c() }()
	})
}
