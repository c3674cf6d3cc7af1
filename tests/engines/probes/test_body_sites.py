"""What is probed for response bodies, and what becomes of a function that cannot be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from leaktui.binary.executable import Executable
from leaktui.engines.probes.body_layout import StreamLayout, StreamPackage, find_stream_packages
from leaktui.engines.probes.body_sites import (
    CLOSED,
    DISCONNECTED,
    OPENED,
    REPORTED,
    STREAM_ENDED,
    BodySites,
    find_body_sites,
)
from leaktui.engines.probes.entry_point import find_probed_function
from leaktui.engines.probes.recipe import Recipe, Site
from leaktui.errors import EngineUnavailable
from tests.engines.probes.fd_programs import build_program
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go

NO_INSTRUCTION = 0x06
UNKNOWN = StreamLayout(None, None, ())


def sites_of(path: Path) -> BodySites:
    with Executable.open(path) as executable:
        return find_body_sites(
            executable, 0, dict.fromkeys(find_stream_packages(executable), UNKNOWN), Recipe()
        )


@pytest.fixture(scope="module")
def binary(matrix_toolchain: Toolchain) -> Path:
    return build_program("bodyends", "stripped", matrix_toolchain)


def damaged(binary: Path, tmp_path: Path, function: str) -> Path:
    """A copy of *binary* in which nobody understands *function*."""
    with Executable.open(binary) as executable:
        found = find_probed_function(executable, function)
        assert found is not None
        assert found.push is not None
    data = bytearray(binary.read_bytes())
    data[found.push[1]] = NO_INSTRUCTION
    path = tmp_path / "damaged"
    path.write_bytes(data)
    return path


def method(found: BodySites, receiver: str, name: str) -> str:
    (package,) = found.paired
    return package.method(receiver, name)


def test_everything_is_probed(binary: Path) -> None:
    found = sites_of(binary)
    events = Counter(site.event for site in found.sites)
    assert found.unseen == ()
    assert events[OPENED] > 10
    assert (events[CLOSED], events[REPORTED], events[STREAM_ENDED], events[DISCONNECTED]) == (2, 1, 2, 1)
    assert len({site.address for site in found.sites}) == len(found.sites)


@pytest.mark.parametrize("function", ["net/http.(*Transport).roundTrip", "net/http.(*bodyEOFSignal).Close"])
def test_without_these_there_are_no_books(function: str, binary: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be probed"):
        sites_of(damaged(binary, tmp_path, function))


def test_what_is_missing_is_said(binary: Path, tmp_path: Path) -> None:
    whole = sites_of(binary)
    for function, sentence in (
        ("net/http.(*persistConn).closeLocked", "connection was closed"),
        (method(whole, "clientStream", "copyTrailers-fm"), "HTTP/2 bodies that were read to their end"),
        (method(whole, "clientStream", "abortStreamLocked"), "cancelled or reset"),
    ):
        found = sites_of(damaged(binary, tmp_path, function))
        assert len(found.sites) == len(whole.sites) - 1
        (said,) = found.unseen
        assert sentence in said


def test_streams_whose_close_is_not_seen_are_not_paired(binary: Path, tmp_path: Path) -> None:
    (package,) = sites_of(binary).paired
    found = sites_of(damaged(binary, tmp_path, package.close))
    assert found.paired == ()
    assert {site.event for site in found.sites} == {OPENED, CLOSED, REPORTED, DISCONNECTED}


def test_a_body_that_comes_by_twice_counts_where_it_comes_first() -> None:
    bundled = StreamPackage("net/http", "net/http", "http2")
    other = StreamPackage("golang.org/x/net/http2", "golang.org/x/net/http2", "")
    inner, outer = (
        Site(OPENED, function, 0, 0, 0xC3, Recipe())
        for function in (other.method("ClientConn", "roundTrip"), "net/http.(*Transport).roundTrip")
    )
    probed = BodySites((inner, outer), (), (bundled, other), frozenset((other,)))
    assert [probed.counts_at(other, site) for site in (inner, outer)] == [True, False]
    assert probed.counts_at(bundled, outer)
    # Where its own function cannot be probed it is seen only as it is handed on.
    assert BodySites((outer,), (), (bundled, other)).counts_at(other, outer)


def test_packages_are_found_by_the_names_of_their_functions() -> None:
    odd = StreamPackage("example.com/my%2eh2", "example.com/my.h2", "")
    assert odd.close == "example.com/my%2eh2.transportResponseBody.Close"
    bundled = StreamPackage("net/http", "net/http", "http2")
    assert bundled.bundled
    assert bundled.type_name("clientStream") == "http.http2clientStream"
    assert (
        bundled.method("clientStream", "abortStreamLocked")
        == "net/http.(*http2clientStream).abortStreamLocked"
    )
