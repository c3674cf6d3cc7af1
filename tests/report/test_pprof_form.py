"""The profile of a session adds up to what its panes list, and tells no secret."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import replace

from leaktui.model.assessment import EMPTY, Assessment
from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.finding import Confidence, Finding, LeakKind, Verdict
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened
from leaktui.model.profile import AllocSite, HeapProfile, Profile
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.report.pprof_form import (
    GOROUTINES,
    NO_OWNER,
    NOT_LISTED,
    format_ledger_pprof,
    format_pprof,
)
from leaktui.wire.profile import decode_profile

CLIENT = Frame("net/http.(*Client).do", "/go/src/net/http/client.go", 700)
OWNER = Frame("main.loadUser", "/src/user.go", 41)
MAIN = Frame("main.main", "/src/main.go", 9)
TARGET = Target(pid=4242, exe="/srv/shop")
SUSPECT = Finding(LeakKind.HTTP_BODY, Confidence.PROVEN, OWNER.function, OWNER, (OWNER, MAIN), count=3)


def body(**fields: object) -> BodyHolder:
    made = BodyHolder(1, "HTTP/1.1", BodyState.UNREAD, Confidence.POSSIBLE)
    return replace(made, **fields)  # type: ignore[arg-type]


def decoded(snapshot: Snapshot, assessment: Assessment, **options: object) -> Profile:
    return decode_profile(format_pprof(snapshot, assessment, **options))  # type: ignore[arg-type]


def sums(profile: Profile) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for sample in profile.samples:
        for value_type, value in zip(profile.value_types, sample.values, strict=True):
            totals[value_type.name] += value
    return dict(totals)


def leaf(stack: Stack) -> str:
    return stack[0].function


def test_every_column_adds_up() -> None:
    snapshot = Snapshot(
        10.0,
        TARGET,
        groups=(
            GoroutineGroup(40, (CLIENT, MAIN), (("pool", "a"),), "select", MAIN, 3),
            GoroutineGroup(2, ()),
        ),
        heap=HeapProfile((AllocSite((OWNER,), 9, 9000, 3, 3000), AllocSite((MAIN,), 5, 500, 0, 0))),
    )
    bodies = (
        body(owner=OWNER, stack=(CLIENT, OWNER, MAIN), buffered_bytes=200, kernel_bytes=50, age_seconds=61.4),
        body(state=BodyState.BEING_READ),
    )
    assessment = replace(EMPTY, bodies=bodies, open_bodies=1, suspects=(SUSPECT,))
    profile = decoded(snapshot, assessment, time_ns=7)
    assert sums(profile) == {
        "goroutines": 42,
        "open_bodies": 2,
        "buffered_bytes": 250,
        "inuse_objects": 3,
        "inuse_space": 3000,
    }
    assert profile.time_ns == 7
    by_leaf = {leaf(sample.stack): sample for sample in profile.samples if sample.values[1]}
    assert set(by_leaf) == {OWNER.function, NO_OWNER[0].function}
    assert [frame.function for frame in by_leaf[OWNER.function].stack] == [OWNER.function, MAIN.function]
    labels = dict(profile.samples[0].labels)
    assert labels == {"pool": "a", "wait_reason": "select", "created_by": "main.main"}


def test_bodies_of_the_only_suspect_are_put_down_to_it_as_far_as_it_is_accused() -> None:
    seen = body(owner=OWNER, stack=(OWNER, MAIN))
    assessment = replace(EMPTY, bodies=(seen, body(), body(), body()), suspects=(SUSPECT,))
    profile = decoded(Snapshot(1.0, TARGET), assessment)
    assert Counter(leaf(sample.stack) for sample in profile.samples) == {
        OWNER.function: 3,
        NO_OWNER[0].function: 1,
    }
    assert sum(("owner", "inferred") in sample.labels for sample in profile.samples) == 2
    other = replace(SUSPECT, location=MAIN, function=MAIN.function)
    two = decoded(Snapshot(1.0, TARGET), replace(assessment, suspects=(SUSPECT, other)))
    assert Counter(leaf(sample.stack) for sample in two.samples)[NO_OWNER[0].function] == 3


def test_what_probes_saw_names_the_chain() -> None:
    ledger = Ledger(
        LedgerKind.BODIES, 0.0, 5.0, places=(LedgerPlace((OWNER, MAIN), opened=9, closed=2, bytes=70),),
        open=(Opened(0xC000, 1.0, 0),),
    )  # fmt: skip
    assessment = replace(EMPTY, bodies=(body(address=0xC000), body(address=0xD000)))
    profile = decoded(Snapshot(1.0, TARGET, ledgers=(ledger,)), assessment)
    assert [leaf(sample.stack) for sample in profile.samples] == [OWNER.function, NO_OWNER[0].function]
    books = decode_profile(format_ledger_pprof(ledger, exe="/srv/shop"))
    assert sums(books) == {"open": 7, "opened": 9, "closed": 2, "bytes": 70}


def test_bodies_that_are_only_counted_are_counted() -> None:
    profile = decoded(Snapshot(1.0, TARGET), replace(EMPTY, open_bodies=12))
    assert sums(profile)["open_bodies"] == 12 and leaf(profile.samples[0].stack) == NOT_LISTED[0].function


def test_a_dump_alone_is_grouped() -> None:
    dump = tuple(Goroutine(goid, "select", (CLIENT, MAIN)) for goid in range(5))
    profile = decoded(Snapshot(1.0, TARGET, goroutines=dump), EMPTY)
    assert [sample.values for sample in profile.samples] == [(5,)]


def test_one_pane_can_be_asked_for() -> None:
    snapshot = Snapshot(1.0, TARGET, groups=(GoroutineGroup(3, (MAIN,)),))
    assessment = replace(EMPTY, bodies=(body(),))
    assert sums(decoded(snapshot, assessment, only=(GOROUTINES,))) == {"goroutines": 3}


def test_the_allocator_is_left_out_of_the_heap_as_go_does() -> None:
    malloc = Frame("runtime.mallocgc", "/go/src/runtime/malloc.go", 1)
    heap = HeapProfile((AllocSite((malloc, OWNER), 1, 1, 1, 10), AllocSite((malloc,), 1, 1, 1, 5)))
    profile = decoded(Snapshot(1.0, TARGET, heap=heap), EMPTY)
    assert [leaf(sample.stack) for sample in profile.samples] == [OWNER.function, malloc.function]


def test_nothing_seen_is_an_empty_profile() -> None:
    profile = decoded(Snapshot(1.0, Target(None)), replace(EMPTY, verdict=Verdict.UNDECIDED))
    assert profile.samples == () and [item.name for item in profile.value_types] == ["goroutines"]


def test_secrets_and_control_bytes_stay_out() -> None:
    hostile = Frame("main.\x1b[31mf\u202e", "/src/\x07.go", 3)
    snapshot = Snapshot(
        1.0,
        replace(TARGET, exe="/srv/\x1b]0;t\x07"),
        groups=(GoroutineGroup(1, (hostile,), (("request", "GET http://u:hunter2@h/x?token=abc"),)),),
    )
    url = "https://bob:hunter2@api.example/v1?token=abc&id=7"
    bodies = (body(url=url, method="GET", status=404, owner=hostile, stack=(hostile,)),)
    data = gzip.decompress(format_pprof(snapshot, replace(EMPTY, bodies=bodies)))
    for secret in (b"hunter2", b"token=abc", b"\x1b", "\u202e".encode()):
        assert secret not in data, secret
    assert "https://api.example/v1?token=…&id=…".encode() in data and b"api.example" in data
