// Command tiny needs nothing but the runtime, so that it builds quickly for any architecture.
package main

import "errors"

func inner(x int) int {
	if x > 1000 {
		panic("too large")
	}
	return x * 2
}

func middle(x int) int { return inner(x) + 1 }

//go:noinline
func outer(x int) (n int, err error) {
	if x == 9 {
		return 0, errors.New("nine")
	}
	return middle(x), nil
}

func main() {
	n, err := outer(len(errors.New("two").Error()))
	println(n, err)
}
