// One answer in ten is a surprise, and only its body is forgotten: the same line opens nine that are
// closed for each that is not.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type translations struct {
	base  string
	http  http.Client
	fixed bool
}

var errUnknownLanguage = errors.New("unknown language")

func (t *translations) lookup(key int, language string) (string, error) {
	url := fmt.Sprintf("%s/small?id=%d", t.base, key)
	if language == "tlh" {
		url += "&status=406"
	}
	resp, err := t.http.Get(url) // LEAK: http-body main.(*translations).lookup
	if err != nil {
		return "", err
	}
	truth.Opened("guilty")
	if resp.StatusCode == http.StatusNotAcceptable && !t.fixed {
		return "", errUnknownLanguage
	}
	defer truth.Closed("guilty")
	defer resp.Body.Close()
	var text struct{ Name string }
	if err := json.NewDecoder(resp.Body).Decode(&text); err != nil {
		return "", err
	}
	return text.Name, nil
}

func (t *translations) languages() (int, error) {
	resp, err := t.http.Get(t.base + "/large?n=3000")
	if err != nil {
		return 0, err
	}
	truth.Opened("languages")
	defer truth.Closed("languages")
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

func main() {
	program := harness.Start()
	t := &translations{base: program.Peer, fixed: program.Fixed}
	program.Ready()
	program.Every(func(i int) {
		for n := range 9 {
			t.lookup(10*i+n, "eo")
		}
		t.lookup(10*i+9, "tlh")
		t.languages()
	})
}
