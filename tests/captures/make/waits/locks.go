package main

import (
	"sync"
	"time"
)

var (
	mutex     sync.Mutex
	rwHeld    sync.RWMutex
	rwRead    sync.RWMutex
	waitGroup sync.WaitGroup
	condition = sync.NewCond(&sync.Mutex{})
	once      sync.Once
)

type guarded struct {
	sync.Mutex
	value int
}

func (g *guarded) get() int {
	g.Lock()
	defer g.Unlock()
	return g.value
}

var shared guarded

func parkLocks() {
	mutex.Lock()
	rwHeld.Lock()
	rwRead.RLock()
	waitGroup.Add(1)
	shared.Lock()
	go func() { mutex.Lock() }()
	go func() { defer mutex.Unlock(); mutex.Lock() }()
	go func() { shared.get() }()
	go func() { var locker sync.Locker = &mutex; locker.Lock() }()
	go func() { rwHeld.RLock() }()
	go func() { var locker sync.Locker = rwHeld.RLocker(); locker.Lock() }()
	go func() { rwHeld.Lock() }()
	go func() { rwRead.Lock() }()
	go func() { waitGroup.Wait() }()
	go func() { condition.L.Lock(); condition.Wait() }()
	go func() { once.Do(func() { <-neverSent }) }()
	go func() { time.Sleep(100 * time.Millisecond); once.Do(func() {}) }()
}

// contend makes entries for the mutex and block profiles.
func contend() {
	var group sync.WaitGroup
	var lock sync.Mutex
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 20; j++ {
				lock.Lock()
				time.Sleep(50 * time.Microsecond)
				lock.Unlock()
			}
		}()
	}
	group.Wait()
}
