package main

// Works that only some builds have: coroutines since Go 1.23, calls from C with cgo.
var coroutines, foreign []func(<-chan struct{})
