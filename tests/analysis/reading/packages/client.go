package packages

import (
	"net/http"
)

type Client struct{ base string }

func (c *Client) finished() error {
	resp, err := http.Get(c.base) // WHY: nothing
	if err != nil {
		return err
	}
	finish(resp)
	return nil
}

func (c *Client) drained() error {
	resp, err := http.Get(c.base) // WHY: never released: resp.Body is never closed in this function
	if err != nil {
		return err
	}
	drain(resp)
	return nil
}

func (c *Client) finishedSometimes() error {
	resp, err := http.Get(c.base) // WHY: early return: finishIfOK (finish.go:19) is handed resp.Body and is to close it
	if err != nil {
		return err
	}
	finishIfOK(resp)
	return nil
}

func (c *Client) closedByMethod() error {
	resp, err := http.Get(c.base) // WHY: nothing
	if err != nil {
		return err
	}
	return c.check(resp)
}

func (c *Client) closedByWhom(others []*Other) error {
	resp, err := http.Get(c.base) // WHY: perhaps never released: which may not close it: its source is not in this package
	if err != nil {
		return err
	}
	return others[0].check(resp)
}

func (c *Client) shadowsTheHelper(drain func(*http.Response)) error {
	resp, err := http.Get(c.base) // WHY: perhaps never released: handed to drain
	if err != nil {
		return err
	}
	drain(resp)
	return nil
}

func (c *Client) asksThroughHelper() (int, error) {
	resp, err := c.fetch() // WHY: early return: The return at line 69 leaves resp.Body open
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != 200 {
		// The helper's own signature, beside this file, says what has to be closed.
		//
		return 0, nil
	}
	resp.Body.Close()
	return 1, nil
}
