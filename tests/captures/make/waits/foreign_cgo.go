//go:build cgo

package main

/*
#include <unistd.h>
extern void goCallback(void);
static void sleepInC(void) { sleep(3600); }
static void callBack(void) { goCallback(); }
*/
import "C"

//export goCallback
func goCallback() { <-neverSent }

func parkForeign() {
	go func() { C.sleepInC() }()
	go func() { C.callBack() }()
}
