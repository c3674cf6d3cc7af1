"""Secrets come from the environment or a prompt."""

from __future__ import annotations

import getpass
import io
import sys

import pytest

from leaktui.cli.arguments import parse_arguments
from leaktui.cli.credentials import Credentials, read_credentials
from leaktui.errors import UsageError

VARIABLES = ("LEAKTUI_PPROF_USER", "LEAKTUI_PPROF_PASSWORD", "LEAKTUI_PPROF_TOKEN")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def read(*arguments: str) -> Credentials:
    return read_credentials(parse_arguments(arguments))


def test_none() -> None:
    assert not read()


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in zip(VARIABLES, ("ops", "pw", "t"), strict=True):
        monkeypatch.setenv(variable, value)
    assert read() == Credentials(user="ops", password="pw", token="t")


def test_a_user_with_the_password_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKTUI_PPROF_USER", "other")
    monkeypatch.setenv("LEAKTUI_PPROF_PASSWORD", "pw")
    assert read("--user", "ops") == Credentials(user="ops", password="pw")


def test_a_user_is_asked_for_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: f"typed at {prompt!r}")
    assert read("--user", "ops").password == "typed at 'pprof password of ops: '"


def test_nobody_to_ask() -> None:
    with pytest.raises(UsageError, match="password of ops: put it into LEAKTUI_PPROF_PASSWORD"):
        read("--user", "ops")


def test_a_token_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", "t")
    assert read("--token-env", "OPS_TOKEN") == Credentials(token="t")


def test_a_token_given_in_place_of_its_variable_is_not_repeated() -> None:
    with pytest.raises(UsageError) as refusal:
        read("--token-env", "eyJhbGciOiJIUzI1NiJ9")
    assert "eyJ" not in str(refusal.value)


def test_one_way_to_say_who_we_are() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        read("--user", "ops", "--token-env", "T")
