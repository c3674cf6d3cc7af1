package main

import (
	"context"
	"reflect"
	"runtime"
	"runtime/pprof"
	"time"
)

// Kept reachable, so that only leak's goroutines count as leaked.
var (
	neverSent   = make(chan int)
	neverTaken  = make(chan int)
	neverClosed = make(chan string)
	nilChannel  chan int
)

func parkChannels() {
	for i := 0; i < 5; i++ {
		go receiver(i, neverSent)
	}
	go func() { neverTaken <- 1 }()
	go func() {
		for range neverClosed {
		}
	}()
	go func() { v, ok := <-neverSent; _, _ = v, ok }()
	go func() { <-nilChannel }()
	go func() { nilChannel <- 1 }()
	go func() {
		for range nilChannel {
		}
	}()
	go func() {
		select {
		case <-neverSent:
		case neverTaken <- 2:
		}
	}()
	go func() {
		select { // one case: the compiler makes a plain receive of it
		case <-neverSent:
		}
	}()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		select {
		case <-ctx.Done():
		case <-neverSent:
		case <-time.After(time.Hour):
		}
	}()
	go func() { select {} }()
	go func() {
		reflect.Select([]reflect.SelectCase{
			{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(neverSent)},
			{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(neverClosed)},
		})
	}()
	go func() { reflect.ValueOf(neverSent).Recv() }()
	go func() { time.Sleep(time.Hour) }()
	go func() {
		runtime.LockOSThread()
		<-neverSent
	}()
	for _, route := range []string{"/users", "/orders"} {
		labels := pprof.Labels("route", route, "tenant", "a \"quoted\" one, {braces}: ü", "empty", "")
		go pprof.Do(context.Background(), labels, func(context.Context) { <-neverSent })
		go pprof.Do(context.Background(), labels, func(context.Context) { <-neverSent })
	}
}

//go:noinline
func receiver(number int, from <-chan int) int { return number + <-from }

// leak parks goroutines on channels nothing else refers to.
func leak() {
	for i := 0; i < 3; i++ {
		forgotten := make(chan int)
		go func() { forgotten <- 1 }()
	}
	go func() { <-make(chan int) }()
	go func() {
		select {
		case <-make(chan int):
		case <-make(chan string):
		}
	}()
}
