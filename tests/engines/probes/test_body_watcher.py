"""Response bodies that end in every way there is, beside what was done with them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.probes.body_sites import CLOSED, OPENED, REPORTED, STREAM_ENDED
from leaktui.engines.probes.body_watcher import BodyWatcher
from leaktui.engines.probes.kernel.armed import arm
from leaktui.engines.probes.recipe import Hit
from leaktui.errors import EngineUnavailable
from leaktui.model.ledger import Ledger
from tests.conftest import TargetFactory
from tests.engines.probes.body_matrix import watch_bodies
from tests.engines.probes.body_watching import BodySums, BodyWatch, sums_of, watched_bodies
from tests.engines.probes.fd_programs import CommandedProgram, build_program, run_program
from tests.go_target import Peer
from tests.go_toolchain import Toolchain, build

pytestmark = [pytest.mark.go, pytest.mark.usefixtures("probes_permitted")]

TIMES = 3
CLOSED_ALL = BodySums(TIMES, closed=TIMES)
ENDED_ALL = BodySums(TIMES, ended=TIMES)
LEFT_ALL = BodySums(TIMES)
WITHOUT_ALL = BodySums(without=TIMES)
NOT_PAIRED = BodySums()

# What becomes of the bodies of `TIMES` responses, by what programs/bodyends does with them.
FATES = {
    "closed": CLOSED_ALL,
    "twice": CLOSED_ALL,
    "unread": LEFT_ALL,
    "part": LEFT_ALL,
    "eof": ENDED_ALL,
    "eof-chunks": ENDED_ALL,
    "eof-closed": CLOSED_ALL,
    "packed-closed": CLOSED_ALL,
    "packed-unread": LEFT_ALL,
    "packed-eof": ENDED_ALL,
    "packed-eof-closed": CLOSED_ALL,
    "nothing": WITHOUT_ALL,
    "head": WITHOUT_ALL,
    "cut": ENDED_ALL,
    "redirect": BodySums(2 * TIMES, closed=2 * TIMES),
    "cancelled": ENDED_ALL,
    "cancelled-closed": CLOSED_ALL,
    "late": ENDED_ALL,
    "file": NOT_PAIRED,
}
# A connection that breaks is noticed by who reads; a stream that is reset ends.
FATES_OF_ONE = FATES | {"cut-unread": LEFT_ALL, "old": ENDED_ALL, "switch": NOT_PAIRED}
FATES_OF_TWO = FATES | {"cut-unread": ENDED_ALL}


@cache
def has_client_conn(toolchain: Toolchain) -> bool:
    return "ClientConn" in (toolchain.go.parents[1] / "src/net/http/transport.go").read_text()


@contextlib.contextmanager
def watched_program(flavour: str, toolchain: Toolchain) -> Iterator[tuple[CommandedProgram, BodyWatch]]:
    binary = build_program("bodyends", flavour, toolchain)
    with run_program(binary) as program, watched_bodies(program.pid) as watch:
        yield program, watch


def settled(watch: BodyWatch, before: BodySums, wanted: BodySums) -> BodySums:
    """What came since *before*; some of it happens only after the program has done its part."""
    deadline = time.monotonic() + 5
    while True:
        found = replace(sums_of(watch.ledger()) - before, collected=0)
        if found == wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


@pytest.mark.parametrize(
    "flavour",
    [
        "stripped",
        # These have the whole standard library compiled anew.
        pytest.param("unoptimised", marks=pytest.mark.matrix),
        pytest.param("pie-stripped", marks=pytest.mark.matrix),
    ],
)
def test_every_end_is_told_from_the_others(flavour: str, matrix_toolchain: Toolchain) -> None:
    with watched_program(flavour, matrix_toolchain) as (program, watch):
        assert watch.watcher.unseen()[:-1] == ()
        for protocol in ("h1", "tls", "h2"):
            fates = FATES_OF_TWO if protocol == "h2" else FATES_OF_ONE
            if has_client_conn(matrix_toolchain):
                fates = fates | {"conn": LEFT_ALL}
            for fate, wanted in fates.items():
                before = sums_of(watch.ledger())
                assert program.do(protocol, fate, TIMES) == "ok", (protocol, fate)
                assert settled(watch, before, wanted) == wanted, (protocol, fate)
        ledger = watch.ledger()
        assert ledger.closed_unseen == watch.armed.dropped() == 0
        # They all came by the same line.
        owners = {watch.owner_of(ledger, place) for place in range(len(ledger.places))}
        assert {owner.frame.function.split(".")[0] for owner in owners if owner} == {"main"}
        assert any("101 Switching Protocols" in text for text in ledger.unseen)
        assert any("*io.PipeReader" in text for text in ledger.unseen)


def test_what_is_open_is_described(go_toolchain: Toolchain) -> None:
    with watched_program("plain", go_toolchain) as (program, watch):
        for protocol, fate in (("h1", "unread"), ("tls", "packed-unread"), ("h2", "unread")):
            assert program.do(protocol, fate, 1) == "ok"
        one, packed, two = watch.ledger().open
        assert [item.protocol for item in (one, packed, two)] == ["HTTP/1.1", "HTTP/1.1", "HTTP/2"]
        assert {item.method for item in (one, packed, two)} == {"GET"}
        assert {item.status for item in (one, packed, two)} == {200}
        assert [item.content_length for item in (one, packed, two)] == [40000, None, 40000]
        assert one.url.startswith("http://127.0.0.1:")
        assert one.url.endswith("/length")
        assert packed.url.startswith("https://127.0.0.1:")
        assert packed.url.endswith("/packed")
        assert one.goid == packed.goid == two.goid == 1
        assert abs(one.time - time.monotonic()) < 60
        assert len({one.key, packed.key, two.key, one.response, packed.response, two.response}) == 6


PROGRAMS = ("earlyreturn", "gzippart", "http2large", "readtoeof", "roundtripper")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_books_are_those_of_the_program(program: str, peer: Peer, matrix_toolchain: Toolchain) -> None:
    binary = build(program, matrix_toolchain, stripped=True)
    row = watch_bodies(program, binary, matrix_toolchain, peer, variant="stripped", seconds=1.0)
    assert row.doubts == ""
    assert row.sums.opened > 5
    assert row.sure


def test_a_program_without_client_is_refused(target_factory: TargetFactory) -> None:
    with target_factory("boundedcache", tags="nopprof", pprof=False) as target:
        attachment = attach(target.pid, threading.Event())
        try:
            with pytest.raises(EngineUnavailable, match="has no HTTP client"):
                BodyWatcher(attachment).sites()
        finally:
            attachment.close()


# --- the same hits in another order ---


@pytest.fixture(scope="module")
def recorded(go_toolchain: Toolchain) -> Iterator[tuple[Attachment, dict[str, list[Hit]]]]:
    """A process, and the hits of two bodies by what was done with them."""
    with run_program(build_program("bodyends", "plain", go_toolchain)) as program:
        attachment = attach(program.pid, threading.Event())
        found: dict[str, list[Hit]] = {}
        try:
            with arm(program.pid, BodyWatcher(attachment).sites()) as armed:
                for protocol, fate in (
                    ("h1", "closed"),
                    ("h1", "eof"),
                    ("h1", "unread"),
                    ("h2", "cancelled"),
                ):
                    assert program.do(protocol, fate, 2) == "ok"
                    time.sleep(0.2)
                    found[f"{protocol} {fate}"] = armed.read(1.0)
            yield attachment, found
        finally:
            attachment.close()


def books(attachment: Attachment, hits: list[Hit]) -> Ledger:
    watcher = BodyWatcher(attachment)
    watcher.sites()
    for hit in hits:
        watcher.handle(hit)
    return watcher.ledger(0.0, 1.0)


def of(hits: list[Hit], event: str) -> list[Hit]:
    return [hit for hit in hits if hit.site.event == event]


Recorded = tuple[Attachment, dict[str, list[Hit]]]


def test_a_key_that_is_opened_again_was_collected(recorded: Recorded) -> None:
    attachment, hits = recorded
    first, second = of(hits["h1 unread"], OPENED)
    ledger = books(attachment, [first, second, first])
    assert replace(sums_of(ledger)) == BodySums(3, collected=1)
    assert ledger.still_open == 2


def test_a_close_of_what_was_open_before_is_not_taken_for_another(recorded: Recorded) -> None:
    attachment, hits = recorded
    first, second = of(hits["h1 closed"], CLOSED)
    ledger = books(attachment, [first, *of(hits["h1 closed"], OPENED)[1:], second])
    assert sums_of(ledger) == BodySums(1, closed=1, closed_unseen=1)


def test_the_end_that_close_itself_causes_changes_nothing(recorded: Recorded) -> None:
    attachment, hits = recorded
    opened = of(hits["h1 eof"], OPENED)[0]
    reported = of(hits["h1 eof"], REPORTED)[0]
    close = replace(of(hits["h1 closed"], CLOSED)[0])
    recipe = [word.name for word in opened.site.recipe.words]
    close = replace(close, words=(opened.words[recipe.index("data")],))
    for order in ([opened, close, reported], [opened, reported, close], [opened, close, close]):
        assert sums_of(books(attachment, order)) == BodySums(1, closed=1)
    assert sums_of(books(attachment, [opened, reported, reported])) == BodySums(1, ended=1)


def test_a_stream_given_up_on_its_way_out_has_ended(recorded: Recorded) -> None:
    attachment, hits = recorded
    opened = of(hits["h2 cancelled"], OPENED)[0]
    names = [word.name for word in opened.site.recipe.words]
    key = opened.words[names.index("data")]
    abort = next(hit for hit in of(hits["h2 cancelled"], STREAM_ENDED) if hit.words[0] == key)
    abort = replace(abort, time_ns=opened.time_ns - 50_000)
    assert sums_of(books(attachment, [abort, opened])) == BodySums(1, ended=1)
    # Another stream that was at the same address.
    client, number = abort.words[1:]
    for other in ((client + 0x1000, number), (client, number + 2)):
        earlier = replace(abort, words=(key, *other))
        assert sums_of(books(attachment, [earlier, opened])) == BodySums(1)
        assert sums_of(books(attachment, [opened, earlier])) == BodySums(1)
    long_before = replace(abort, time_ns=opened.time_ns - 50_000_000)
    assert sums_of(books(attachment, [long_before, opened])) == BodySums(1)
    # Or the stream itself says so.
    error = next(index for index, name in enumerate(names) if name.startswith("error at") and "data" in name)
    words = list(opened.words)
    words[error] = 1
    assert sums_of(books(attachment, [replace(opened, words=tuple(words))])) == BodySums(1, ended=1)


def test_a_type_that_is_not_known_is_counted_and_not_paired(recorded: Recorded) -> None:
    attachment, hits = recorded
    opened = of(hits["h1 unread"], OPENED)[0]
    names = [word.name for word in opened.site.recipe.words]
    words = list(opened.words)
    words[names.index("itab")] = 0x10
    ledger = books(attachment, [replace(opened, words=tuple(words))])
    assert sums_of(ledger) == BodySums()
    assert ledger.unseen == ("Bodies of a type that is not known are not paired: 1 so far.",)


def test_the_books_outlive_the_process(go_toolchain: Toolchain) -> None:
    program = CommandedProgram([str(build_program("bodyends", "plain", go_toolchain))])
    try:
        attachment = attach(program.pid, threading.Event())
        with arm(program.pid, (watcher := BodyWatcher(attachment)).sites()) as armed:
            assert program.do("h1", "unread", 2) == "ok"
            hits = armed.read(1.0)
    finally:
        program.stop()
    for hit in hits:
        watcher.handle(hit)
    ledger = watcher.ledger(0.0, 1.0)
    attachment.close()
    # Of what kind they are could only be asked of the process: that is said.
    assert ledger.still_open == 0
    assert ledger.unseen == ("Bodies of a type that is not known are not paired: 2 so far.",)


def test_what_was_open_when_hits_were_lost_is_nobodys_fault(go_toolchain: Toolchain) -> None:
    with watched_program("stripped", go_toolchain) as (program, watch):
        for protocol in ("h1", "h2"):
            program.do(protocol, "unread", TIMES)
        assert watch.ledger().still_open == 2 * TIMES
        watch.watcher.doubt()
        ledger = watch.ledger()
        assert (ledger.opened, ledger.still_open, ledger.open) == (0, 0, ())
        assert any(f"when hits were lost are not followed: {2 * TIMES}" in text for text in ledger.unseen)
        program.do("h1", "unread", TIMES)
        assert (watch.ledger().opened, watch.ledger().still_open) == (TIMES, TIMES)
