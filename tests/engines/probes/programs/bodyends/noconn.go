//go:build !go1.26

package main

import "errors"

func askConn(*asker) error { return errors.New("this release has no ClientConn") }
