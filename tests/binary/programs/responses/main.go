// Functions that get an *http.Response and close it, forget it or hand it on, in many shapes.
//
// The line above a function says what becomes of the responses of its call of the HTTP client:
//
//	want: closed | never | sometimes | handed | unknown
//
// and "leaks here" marks the lines at which a path ends with the body open. The program is built and its machine
// code is read; it is never run.
package main

import (
	"fmt"
	"net/http"
	"os"
)

var client = http.DefaultClient

// Everything is reachable from here, so that the linker keeps it.
var shapes = map[string]any{}

func main() {
	for _, register := range []func(){registerPlain, registerHanded, registerStored, registerDeferred, registerReaders, registerTransports} {
		register()
	}
	fmt.Fprintln(os.Stderr, len(shapes))
}
