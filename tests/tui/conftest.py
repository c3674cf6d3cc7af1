"""A calm terminal for every test of the interface: no environment of the developer's shows in it."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests, each in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def calm_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "NO_COLOR",
        "COLORTERM",
        "TEXTUAL_THEME",
        "TEXTUAL_FILTERS",
        "GOROOT",
        "GOMODCACHE",
        "GOPATH",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


USER_GO = """\
package main

import (
\t"encoding/json"
\t"fmt"
\t"net/http"
)

// User is a customer as the users service knows it.
type User struct {
\tID   int    `json:"id"`
\tName string `json:"name"`
}

type users struct {
\tbase   string
\tclient *http.Client
}

func (u *users) url(id int) string {
\treturn fmt.Sprintf("%s/v1/users/%d", u.base, id)
}

/*
loadUser asks the users service.
*/
func loadUser(u *users, id int) (*User, error) {
\tvar (
\t\tuser User
\t\terr  error
\t)
\tif id <= 0 {
\t\treturn nil, fmt.Errorf("no user %d", id)
\t}
\tretries := 3
\tif u.base == "" {
\t\tretries = 0
\t}
\t_ = retries
\t// one try for now
\tresp, err := u.client.Get(u.url(id))
\tif err != nil {
\t\treturn nil, err
\t}
\tif resp.StatusCode != http.StatusOK {
\t\treturn nil, fmt.Errorf("users: %s", resp.Status)
\t}
\tdefer resp.Body.Close()
\terr = json.NewDecoder(resp.Body).Decode(&user)
\treturn &user, err
}
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the scene's source, elsewhere than where it was built."""
    directory = tmp_path / "src"
    directory.mkdir()
    (directory / "user.go").write_text(USER_GO)
    return directory
