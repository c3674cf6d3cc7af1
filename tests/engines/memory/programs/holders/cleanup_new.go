//go:build go1.24

package main

import "runtime"

//go:noinline
func holdInCleanup() {
	held := make1("cleanup function")
	object := &keeper{name: "cleaned"}
	runtime.AddCleanup(object, func(n int) { use(held) }, 1)
	argument := make1("cleanup argument")
	runtime.AddCleanup(&keeper{name: "cleaned, too"}, func(w *widget) { use(w) }, argument)
}
