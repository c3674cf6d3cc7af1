// A user lookup that gives up on a bad status before it reaches the deferred Close.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"example.com/goprograms/internal/harness"
	"example.com/goprograms/internal/truth"
)

type user struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

type client struct {
	base  string
	http  *http.Client
	fixed bool
}

func (c *client) loadUser(id int) (*user, error) {
	path := "/small"
	if id%2 == 0 {
		path = "/status/404" // every second user is gone
	}
	resp, err := c.http.Get(fmt.Sprintf("%s%s?id=%d", c.base, path, id)) // LEAK: http-body main.(*client).loadUser
	if err != nil {
		return nil, err
	}
	truth.Opened("guilty")
	if resp.StatusCode != http.StatusOK {
		if c.fixed {
			resp.Body.Close()
			truth.Closed("guilty")
		}
		return nil, fmt.Errorf("user %d: %s", id, resp.Status)
	}
	defer truth.Closed("guilty")
	defer resp.Body.Close()
	var u user
	return &u, json.NewDecoder(resp.Body).Decode(&u)
}

func (c *client) loadTeam(id int) (string, error) {
	resp, err := c.http.Get(fmt.Sprintf("%s/small?id=%d", c.base, id))
	if err != nil {
		return "", err
	}
	truth.Opened("team")
	defer truth.Closed("team")
	defer resp.Body.Close()
	var team user
	if err := json.NewDecoder(resp.Body).Decode(&team); err != nil {
		return "", err
	}
	return team.Name, nil
}

func main() {
	program := harness.Start()
	c := &client{base: program.Peer, http: &http.Client{}, fixed: program.Fixed}
	program.Ready()
	program.Every(func(i int) {
		c.loadUser(2 * i)
		c.loadUser(2*i + 1)
		c.loadTeam(i)
	})
}
