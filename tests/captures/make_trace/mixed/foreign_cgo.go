//go:build cgo

package main

/*
#include <pthread.h>
#include <unistd.h>

extern void goCalled(int);

static void *thread(void *unused) {
	for (int i = 0; i < 3; i++) {
		goCalled(i);
	}
	return 0;
}

static void callOnThread(void) {
	pthread_t id;
	if (pthread_create(&id, 0, thread, 0) == 0) {
		pthread_join(id, 0);
	}
}

static void callBack(void) { goCalled(7); }
*/
import "C"

import "time"

//export goCalled
func goCalled(value C.int) {
	time.Sleep(50 * time.Microsecond)
}

func init() {
	foreign = append(foreign, func(stop <-chan struct{}) {
		for {
			select {
			case <-stop:
				return
			default:
			}
			C.callOnThread()
			C.callBack()
			C.usleep(100)
		}
	})
}
