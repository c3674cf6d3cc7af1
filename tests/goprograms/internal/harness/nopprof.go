//go:build nopprof

package harness

import "errors"

func servePprof(string) (string, error) {
	return "", errors.New("built with -tags nopprof: there is no pprof to serve")
}
