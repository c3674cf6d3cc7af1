//go:build go1.24

package main

import (
	"runtime"
	"unique"
)

func parkCleanup() {
	cleaned := new([64]byte)
	runtime.AddCleanup(cleaned, func(int) { <-neverSent }, 1)
	handles = append(handles, unique.Make("kept"))
}

var handles []unique.Handle[string]
