"""The Go programs are what they say: each builds, leaks where it is marked and nowhere else, its fixed
twin does not, and the marks are true of the running process.

Several programs run at once against one peer, in batches small enough for two cores.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.go_expected import Expected, Place, expected, healthy_programs, leaking_programs
from tests.go_target import Count, GoTarget, Peer, run_target
from tests.go_toolchain import PROGRAMS, Toolchain, build_programs

LEAKING = leaking_programs()
HEALTHY = healthy_programs()
ENOUGH = 20
"""Leaks after which a program counts as leaking: one second's worth at the usual rate."""
PATIENCE = 60.0
BATCH = 12


def batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


def fetch(target: GoTarget, page: str) -> str:
    with urllib.request.urlopen(f"{target.pprof_url}/{page}", timeout=30) as response:
        return str(response.read().decode())


def wait_for_leaks(targets: dict[str, GoTarget], enough: int = ENOUGH) -> dict[str, int]:
    """Leaks by program, once each has *enough* of them or patience is at an end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        leaks = {name: target.leaked() for name, target in targets.items()}
        if min(leaks.values()) >= enough or time.monotonic() > deadline:
            return leaks
        time.sleep(0.2)


# -- the marks, without running anything ------------------------------------------------------------


def test_there_are_enough_shapes_of_each_kind() -> None:
    assert len(leaking_programs("http-body")) >= 20
    assert len(leaking_programs("goroutine")) >= 4
    assert len(leaking_programs("fd")) >= 4
    assert len(leaking_programs("heap")) >= 4
    assert len(HEALTHY) >= 8


@pytest.mark.parametrize("program", LEAKING)
def test_the_marked_line_is_inside_the_function_it_names(program: str) -> None:
    answer = expected(program)
    assert answer is not None
    places = [] if answer.kind == "goroutine" else [answer.place, *answer.also]
    if answer.created_by is not None:
        places.append(answer.created_by)
    for place in places:
        assert enclosing_function(place) == plain_name(place.function)


def enclosing_function(place: Place) -> str:
    """Name of the declared function around a line: `(*client).loadUser`, `main`."""
    lines = (PROGRAMS / place.file).read_text(encoding="utf-8").splitlines()
    for line in reversed(lines[: place.line]):
        if match := re.match(r"func (?:\((?:\w+ )?(\*?)(\w+)(\[\w+\])?\) )?(\w+)", line):
            star, receiver, generic, name = match.groups()
            if receiver is None:
                return str(name)
            receiver += "[...]" if generic else ""
            return f"(*{receiver}).{name}" if star else f"{receiver}.{name}"
    raise AssertionError(f"{place} is in no function")


def plain_name(function: str) -> str:
    """A Go symbol without its package and closure suffixes; a generic function's without `[...]`."""
    name = function.rpartition("/")[2].partition(".")[2]
    name = re.sub(r"(\.func\d+(\.\d+)*)+$", "", name)
    return name.removesuffix("[...]")


# -- built --------------------------------------------------------------------------------------------


def check_names(binary: Path, answer: Expected) -> None:
    """Every function a mark names is in the executable's function table (stripping leaves that)."""
    image = binary.read_bytes()
    places = [answer.place, *answer.also, *([answer.created_by] if answer.created_by else [])]
    for place in places:
        # [...] is how the runtime prints any instantiation; the table spells it out.
        pattern = re.escape(place.function.encode()).replace(rb"\[\.\.\.\]", rb"\[[^\0]*\]")
        assert re.search(rb"\0" + pattern + rb"\0", image), f"{binary}: no function {place.function}"


@pytest.mark.go
@pytest.mark.parametrize("stripped", [False, True], ids=["symbols", "stripped"])
@pytest.mark.matrix
def test_every_program_builds_on_every_release(matrix_toolchain: Toolchain, stripped: bool) -> None:
    binaries = build_programs(["peer", *LEAKING, *HEALTHY], matrix_toolchain, stripped=stripped)
    for program in LEAKING:
        answer = expected(program)
        assert answer is not None
        check_names(binaries[program], answer)


@pytest.mark.go
def test_a_build_without_pprof_does_not_link_it(go_toolchain: Toolchain, peer: Peer) -> None:
    binary = build_programs(["earlyreturn"], go_toolchain, tags="nopprof")["earlyreturn"]
    assert b"net/http/pprof.Index\0" not in binary.read_bytes()
    with run_target(binary, peer, pprof=False) as target:
        assert target.pprof_url is None
        wait_for_leaks({"earlyreturn": target}, 5)
        assert target.leaked() >= 5


# -- running ------------------------------------------------------------------------------------------


@pytest.mark.go
@pytest.mark.parametrize("names", batches(LEAKING), ids=lambda names: f"{names[0]}-to-{names[-1]}")
def test_leaks_where_it_is_marked(names: Sequence[str], go_toolchain: Toolchain, peer: Peer) -> None:
    check_leaks(names, go_toolchain, peer)


@pytest.mark.go
@pytest.mark.matrix
@pytest.mark.parametrize("names", batches(LEAKING), ids=lambda names: f"{names[0]}-to-{names[-1]}")
def test_leaks_on_every_release(names: Sequence[str], matrix_toolchain: Toolchain, peer: Peer) -> None:
    check_leaks(names, matrix_toolchain, peer)


def check_leaks(names: Sequence[str], toolchain: Toolchain, peer: Peer) -> None:
    binaries = build_programs(names, toolchain)
    with ExitStack() as stack:
        targets = {name: stack.enter_context(run_target(binaries[name], peer)) for name in names}
        leaks = wait_for_leaks(targets)
        assert {name: count for name, count in leaks.items() if count < ENOUGH} == {}
        for name, target in targets.items():
            answer = expected(name)
            assert answer is not None
            check_names(binaries[name], answer)
            check_evidence(target, answer, leaks[name])
            assert leaking_sites(target.truth()) == ["guilty"]


def leaking_sites(truth: dict[str, Count]) -> list[str]:
    """Sites that hold more than can be under way (ten streams being read are no leak)."""
    return [site for site, count in truth.items() if count.leaked > 12]


def check_evidence(target: GoTarget, answer: Expected, leaked: int) -> None:
    """What the process shows from outside agrees with its own count, at the marked line."""
    few = leaked * 4 // 5  # some were not parked, or not collected, when it was looked at
    if answer.kind == "http-body":
        dump = fetch(target, "goroutine?debug=2")
        parked = len(re.findall(r"^net/http\.\(\*persistConn\)\.readLoop\(", dump, re.MULTILINE))
        # doRequest of HTTP/2: net/http.(*http2clientStream), from 1.27 on net/http/internal/http2.
        parked += len(re.findall(r"^net/http\S*lientStream\)\.doRequest\(", dump, re.MULTILINE))
        assert parked >= few, f"{parked} parked for {leaked} leaked bodies"
    elif answer.kind == "goroutine":
        dump = fetch(target, "goroutine?debug=2")
        assert answer.created_by is not None
        guilty = [
            text
            for text in dump.split("\n\n")
            if all(shows(text, place) for place in (answer.place, *answer.also))
            and re.search(rf"^created by {re.escape(answer.created_by.function)}( |$)", text, re.MULTILINE)
            and f"/{answer.created_by.file}:{answer.created_by.line} " in text
            and re.search(rf"^{re.escape(answer.function)}\(", text, re.MULTILINE)
        ]
        assert len(guilty) >= few, f"{len(guilty)} blocked for {leaked} leaked goroutines:\n{dump[:4000]}"
    elif answer.kind == "fd":
        fds = len(list(Path(f"/proc/{target.pid}/fd").iterdir()))
        assert fds >= few, f"{fds} descriptors for {leaked} leaked"
    else:
        # One allocation in half a megabyte is sampled: the first may take a while.
        deadline = time.monotonic() + PATIENCE
        while not shows(heap := fetch(target, "heap?debug=1&gc=1"), answer.place):
            assert time.monotonic() < deadline, f"no allocation at {answer.place}:\n{heap[:4000]}"
            time.sleep(0.2)


def shows(text: str, place: Place) -> bool:
    return re.search(rf"/{re.escape(place.file)}:{place.line}\b", text) is not None


@pytest.mark.go
@pytest.mark.parametrize("names", batches(LEAKING), ids=lambda names: f"{names[0]}-to-{names[-1]}")
def test_the_fixed_twin_does_not_leak(names: Sequence[str], go_toolchain: Toolchain, peer: Peer) -> None:
    check_clean(names, go_toolchain, peer, fixed=True)


@pytest.mark.go
@pytest.mark.parametrize("names", batches(HEALTHY), ids=lambda names: f"{names[0]}-to-{names[-1]}")
def test_the_healthy_do_not_leak(names: Sequence[str], go_toolchain: Toolchain, peer: Peer) -> None:
    check_clean(names, go_toolchain, peer, fixed=False)


def check_clean(names: Sequence[str], toolchain: Toolchain, peer: Peer, *, fixed: bool) -> None:
    """Each does some work, and what a site holds stops growing."""
    binaries = build_programs(names, toolchain)
    with ExitStack() as stack:
        targets = {name: stack.enter_context(run_target(binaries[name], peer, fixed=fixed)) for name in names}
        time.sleep(1.5)
        before = {name: target.truth() for name, target in targets.items()}
        time.sleep(1.5)
        for name, target in targets.items():
            for site, count in target.truth().items():
                earlier = before[name].get(site, Count(0, 0, 0))
                assert count.leaked - earlier.leaked <= 10, f"{name}: {site} went from {earlier} to {count}"
