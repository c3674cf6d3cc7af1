//go:build go1.24

package main

import "os"

func init() {
	kinds["roots"], kinds["closedRoots"], kinds["forgottenRoots"] = roots, closedRoots, forgottenRoots
}

// roots: the directory and a file in it stay open.
func roots() int {
	root := must(os.OpenRoot(dir))
	keep(root, must(root.Open("file")))
	return 2
}

func closedRoots() int {
	root := must(os.OpenRoot(dir))
	file := must(root.Open("file"))
	root.Close()
	file.Close()
	inner := must(os.OpenInRoot(dir, "file"))
	inner.Close()
	return 0
}

func forgottenRoots() int { return forget(forgetRoot) }

//go:noinline
func forgetRoot() {
	root := must(os.OpenRoot(dir))
	root.Stat("file")
}
