// An account locks, finds too little money, and returns without unlocking. Everybody after that waits.
package main

import (
	"errors"
	"sync"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

var errFunds = errors.New("insufficient funds")

type account struct {
	mu      sync.Mutex
	balance int
}

func (a *account) withdraw(cents int, fixed bool) error {
	a.mu.Lock() // LEAK: goroutine main.settle
	if a.balance < cents {
		if fixed {
			a.mu.Unlock()
		}
		return errFunds
	}
	a.balance -= cents
	a.mu.Unlock()
	return nil
}

func settle(a *account, cents int, fixed bool) {
	truth.Opened("guilty")
	defer truth.Closed("guilty")
	if err := a.withdraw(cents, fixed); err != nil { // LEAK-ALSO: main.settle
		return
	}
}

func main() {
	program := harness.Start()
	broke := &account{balance: 100}
	rich := &account{balance: 1 << 60}
	program.Ready()
	program.Every(func(int) {
		go settle(broke, 60, program.Fixed) // LEAK: created-by main.main.func1
		settled := make(chan struct{})
		go func() {
			defer close(settled)
			rich.withdraw(1, true)
		}()
		<-settled
	})
}
