"""Which dlv is found, what is said of its version, and addresses of other people's servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaktui.engines.delve.address import Address, parse_address
from leaktui.engines.delve.finding import Dlv, find_dlv, mismatch_of
from leaktui.errors import EngineUnavailable, UsageError


def put_dlv(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "dlv"
    path.write_text(f"#!/bin/sh\necho 'Delve Debugger'\necho 'Version: {version}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A place where no dlv is found, and HOME."""
    for name in ("GOBIN", "GOPATH", "LEAKTUI_DLV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_go_directories_are_looked_through(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = put_dlv(nowhere / "go" / "bin", "1.25.0")
    assert find_dlv() == Dlv(str(home), (1, 25, 0))
    gopath = put_dlv(nowhere / "other" / "bin", "1.26.1")
    monkeypatch.setenv("GOPATH", str(nowhere / "other"))
    assert find_dlv().path == str(gopath)
    named = put_dlv(nowhere / "named", "1.27.1")
    monkeypatch.setenv("LEAKTUI_DLV", str(named))
    assert str(find_dlv()) == "dlv 1.27.1"


@pytest.mark.parametrize(("version", "reason"), [("0.12.0", "too old"), ("what", "does not say")])
def test_one_that_will_not_do(nowhere: Path, version: str, reason: str) -> None:
    put_dlv(nowhere / "go" / "bin", version)
    with pytest.raises(EngineUnavailable, match=reason) as refused:
        find_dlv()
    assert "go install" in refused.value.remedy


@pytest.mark.parametrize(
    ("go_version", "said"),
    [
        ("go1.27.3", ""),
        ("go1.25.5", ""),
        ("go1.28", "older than the program's Go 1.28"),
        ("go1.22.1", "no longer claims"),
        ("devel", ""),
    ],
)
def test_what_a_mismatch_means(go_version: str, said: str) -> None:
    sentence = mismatch_of(Dlv("dlv", (1, 27, 1)), go_version)
    assert said in sentence
    assert bool(said) == bool(sentence)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:2345", Address("localhost", 2345)),
        (":2345", Address("localhost", 2345)),
        ("[::1]:2345", Address("::1", 2345)),
        ("unix:/run/dlv.sock", Address(path="/run/dlv.sock")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", "localhost", "unix:", "host:0", "host:99999", "host:x", "host:٣"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)
