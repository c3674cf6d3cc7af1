"""The books of probes: who is told guilty, who is left alone, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.analysis.assess import Watch, assess
from leaktui.analysis.fd_openers import tally_booked
from leaktui.analysis.ledger_accounts import Account, balance
from leaktui.analysis.program import UnknownProgram
from leaktui.model.body import BodyState
from leaktui.model.capability import Source, SourceState
from leaktui.model.finding import Confidence, LeakKind, Verdict
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.model.handoff_watch import HandoffWatch
from leaktui.model.holder import Holder, HolderKind, HolderSearch
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened
from leaktui.model.open_body import BodyCensus, OpenBody
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.model.trace import BodyHandoff
from tests.analysis.histories import files, history
from tests.analysis.stacks import client_call, frames

SOURCES = (Source("proc", SourceState.USED), Source("probes", SourceState.USED))
# The only frame of the user's: no other can own what is opened here.
LOAD = client_call("main.load:24")
SYNC = client_call("main.sync:88")
WATCH = Watch(elapsed_seconds=12, deadline_seconds=60)


def opened(
    count: int, place: int = 0, *, first: int = 0, goid: int = 7, start: float = 0.5
) -> tuple[Opened, ...]:
    return tuple(
        Opened(
            0xC000 + first + index,
            start + index / 10,
            place,
            goid,
            "GET",
            "http://peer/users",
            200,
            "HTTP/1.1",
        )
        for index in range(count)
    )


def books(
    places: tuple[LedgerPlace, ...], open_: tuple[Opened, ...], *, time: float = 12.0, dropped: int = 0
) -> Ledger:
    points = tuple((float(second), round(len(open_) * second / time)) for second in range(round(time)))
    return Ledger(LedgerKind.BODIES, 0.0, time, places, open_, points=points, dropped=dropped)


def seen(
    ledger: Ledger,
    *,
    dump: tuple[Goroutine, ...] | None = (),
    bodies: tuple[OpenBody, ...] | None = (),
    dumped: float = 11.9,
) -> Snapshot:
    return Snapshot(
        time=12.0,
        target=Target(pid=1),
        sources=SOURCES,
        ledgers=(ledger,),
        goroutines=dump,
        goroutines_time=dumped,
        bodies=BodyCensus(bodies) if bodies is not None else None,
    )


def accounts(ledger: Ledger, snapshot: Snapshot | None = None) -> tuple[Account, ...]:
    return balance(ledger, snapshot or seen(ledger), UnknownProgram())


def test_what_is_never_closed_is_its_owners_and_what_is_closed_is_not() -> None:
    places = (
        LedgerPlace(LOAD, opened=96),
        LedgerPlace(SYNC, opened=340, closed=340, closing_seconds=(0.01,) * 9),
    )
    load, sync = accounts(books(places, opened(96)))
    assert load.attribution is not None and load.attribution.frame.line == 24
    assert (load.left_open, load.closed, load.callers_ended) == (96, 0, 96)
    assert (sync.left_open, sync.closed, sync.open) == (0, 340, 0)


def test_the_young_are_nobodys_fault_and_how_young_that_is_follows_the_owner() -> None:
    items = opened(3, start=11.5)
    assert accounts(books((LedgerPlace(LOAD, opened=3),), items))[0].left_open == 0
    slow = LedgerPlace(LOAD, opened=43, closed=40, closing_seconds=(4.0,) * 40)
    (held,) = accounts(books((slow,), opened(3, start=5.0)))
    assert (held.left_open, held.young) == (0, 3)
    (left,) = accounts(books((slow,), opened(3, start=1.0)))
    assert (left.left_open, left.young) == (3, 0)


def test_what_somebody_reads_or_still_has_in_hand_is_in_use() -> None:
    items = opened(1)
    ledger = books((LedgerPlace(LOAD, opened=1),), items)
    read = OpenBody(5, "HTTP/1.1", BodyState.BEING_READ, body=items[0].key)
    (account,) = accounts(ledger, seen(ledger, bodies=(read,)))
    assert (account.left_open, account.in_use) == (0, 1)
    at_work = Goroutine(7, "sleep", frames("time.Sleep:1", "main.load:30"))
    (account,) = accounts(ledger, seen(ledger, dump=(at_work,)))
    assert (account.left_open, account.in_use) == (0, 1)
    moved_on = Goroutine(7, "sleep", frames("time.Sleep:1", "main.idle:10"))
    (account,) = accounts(ledger, seen(ledger, dump=(moved_on,)))
    assert (account.left_open, account.callers_ended) == (1, 0)


def test_who_asks_again_has_let_go_of_what_he_had() -> None:
    ledger = books((LedgerPlace(LOAD, opened=5),), opened(5))
    at_work = Goroutine(7, "sleep", frames("time.Sleep:1", "main.load:30"))
    (account,) = accounts(ledger, seen(ledger, dump=(at_work,)))
    assert (account.left_open, account.in_use) == (4, 1)


def test_what_was_read_in_part_gets_longer() -> None:
    items = opened(1, start=4.0)
    ledger = books((LedgerPlace(LOAD, opened=1),), items)
    part = OpenBody(5, "HTTP/1.1", BodyState.PART_READ, body=items[0].key)
    (account,) = accounts(ledger, seen(ledger, bodies=(part,)))
    assert (account.left_open, account.young) == (0, 1)


def test_what_was_opened_after_the_last_look_at_its_opener_is_not_judged() -> None:
    ledger = books((LedgerPlace(LOAD, opened=4),), opened(4, start=9.0))
    (account,) = accounts(ledger, seen(ledger, dumped=8.0))
    assert (account.left_open, account.young) == (0, 4)


def test_what_was_collected_unclosed_was_left_open() -> None:
    ledger = books((LedgerPlace(LOAD, opened=10, collected=10),), ())
    (account,) = accounts(ledger)
    assert (account.left_open, account.open) == (10, 0)


def diagnosis_of(
    ledger: Ledger, dump: tuple[Goroutine, ...] | None = (), holders: tuple[HolderSearch, ...] = ()
) -> tuple[Verdict, list[str], Confidence, Frame | None]:
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = history(12, lambda second: groups, sources=SOURCES)
    snapshots[-1] = replace(
        snapshots[-1],
        ledgers=(ledger,),
        goroutines=dump,
        goroutines_time=11.9,
        bodies=BodyCensus(()),
        holders=holders,
    )
    assessment = assess(snapshots, UnknownProgram(), WATCH)
    finding = assessment.suspects[0]
    assert finding.kind is LeakKind.HTTP_BODY
    return assessment.verdict, [item.text for item in finding.evidence], finding.confidence, finding.location


def out_of_reach(*keys: int) -> tuple[HolderSearch, ...]:
    return tuple(HolderSearch(key, 64, "http.bodyEOFSignal", done=True, unreachable=True) for key in keys)


def test_what_is_open_is_proved_by_who_could_still_close_it() -> None:
    ledger = books((LedgerPlace(LOAD, opened=96),), opened(96))
    _, _, confidence, _ = diagnosis_of(ledger)
    assert confidence is Confidence.LIKELY
    _, texts, confidence, _ = diagnosis_of(ledger, holders=out_of_reach(0xC000, 0xC001))
    assert confidence is Confidence.PROVEN
    assert "2 of 3 looked for are out of reach: nothing of the program's leads to them" in texts


def test_what_only_its_connection_holds_nobody_can_close() -> None:
    ledger = books((LedgerPlace(LOAD, opened=96),), opened(96))
    waits = tuple(
        HolderSearch(key, 64, "http.bodyEOFSignal", path=(LOOP,), done=True, forsaken=forsaken)
        for key, forsaken in ((0xC000, True), (0xC001, True), (0xC002, False))
    )
    _, texts, confidence, _ = diagnosis_of(ledger, holders=waits)
    assert confidence is Confidence.PROVEN
    assert "2 of 3 looked for are out of reach: nothing of the program's leads to them" in texts


def test_collected_unclosed_is_proof() -> None:
    _, _, confidence, _ = diagnosis_of(books((LedgerPlace(LOAD, opened=96, collected=9),), opened(87)))
    assert confidence is Confidence.PROVEN


def kept_by(*path: Holder) -> HolderSearch:
    return HolderSearch(0xC000, 64, "http.bodyEOFSignal", path=path, done=True)


OBJECT = Holder(HolderKind.OBJECT, 0x10, 0xC000, type_name="http.Response")
GLOBAL = Holder(HolderKind.GLOBAL, 0x20, 0x10, type_name="map[string]*http.Response", name="main.pending")
LOOP = Holder(
    HolderKind.FRAME, 0x30, 0xC000, frame=Frame("net/http.(*persistConn).readLoop", "transport.go", 2400)
)


def test_what_the_program_has_in_hand_it_may_close_yet() -> None:
    ledger = books((LedgerPlace(LOAD, opened=96),), opened(96))
    for path, left in (((OBJECT, GLOBAL), 0), ((LOOP,), 96)):
        snapshot = replace(seen(ledger), holders=(kept_by(*path),))
        (account,) = accounts(ledger, snapshot)
        assert account.left_open == left, path
    later = replace(books((LedgerPlace(LOAD, opened=96),), opened(96), time=40.0), points=())
    snapshot = replace(seen(later, dumped=39.0), holders=(kept_by(OBJECT, GLOBAL),))
    (account,) = accounts(later, snapshot)
    assert account.left_open == 96, "for so long nobody keeps them in order to close them"


def test_a_few_of_the_oldest_are_asked_about() -> None:
    ledger = books((LedgerPlace(LOAD, opened=96),), opened(96))
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = history(12, lambda second: groups, sources=SOURCES)
    snapshots[-1] = replace(snapshots[-1], ledgers=(ledger,), goroutines=(), goroutines_time=11.9)
    assert assess(snapshots, UnknownProgram(), WATCH).ask_holders_of == (0xC000, 0xC001, 0xC002)
    snapshots[-1] = replace(snapshots[-1], holders=out_of_reach(0xC001))
    assert assess(snapshots, UnknownProgram(), WATCH).ask_holders_of == (0xC000, 0xC002)


def test_many_open_at_once_are_nobodys_leak_where_all_are_closed_in_the_end() -> None:
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = [
        replace(
            item,
            bodies=BodyCensus(
                tuple(OpenBody(100 + number, "HTTP/1.1", BodyState.UNREAD) for number in range(10 * second))
            ),
            bodies_time=float(second),
        )
        for second, item in enumerate(history(12, lambda second: groups, sources=SOURCES))
    ]
    (accused,) = assess(snapshots, UnknownProgram(), WATCH).suspects
    assert accused.location is None
    busy = LedgerPlace(LOAD, opened=400, closed=290, closing_seconds=(3.0,) * 40)
    snapshots[-1] = replace(snapshots[-1], ledgers=(books((busy,), opened(30, start=8.0)),))
    assert not assess(snapshots, UnknownProgram(), WATCH).suspects


def test_pairing_is_said_in_figures() -> None:
    places = (
        LedgerPlace(LOAD, opened=96),
        LedgerPlace(SYNC, opened=340, closed=340, closing_seconds=(0.01,) * 9),
    )
    verdict, texts, _, location = diagnosis_of(books(places, opened(96)))
    assert verdict is Verdict.LEAK
    assert location is not None and location.line == 24
    assert texts[0] == "96 of 96 bodies opened here in 12 s were never closed"
    assert "340 of 340 opened at main.go:88 (main.sync) were closed" in texts


def test_lost_hits_and_a_missing_witness_weaken_the_proof() -> None:
    places = (LedgerPlace(LOAD, opened=96),)
    lost = out_of_reach(0xC000, 0xC001, 0xC002)
    _, texts, confidence, _ = diagnosis_of(books(places, opened(96), dropped=50), holders=lost)
    assert confidence is Confidence.LIKELY
    assert "50 hits were lost: the count may be off by so many" in texts
    _, _, confidence, _ = diagnosis_of(books(places, opened(96)), dump=None, holders=lost)
    assert confidence is Confidence.LIKELY


def test_books_alone_name_the_line() -> None:
    """No goroutines, no census: a program whose memory is not understood."""
    ledger = books((LedgerPlace(LOAD, opened=96),), opened(96))
    snapshot = replace(seen(ledger, dump=None, bodies=None), groups=None)
    assessment = assess([snapshot], UnknownProgram(), WATCH)
    assert assessment.verdict is Verdict.LEAK
    assert assessment.suspects[0].confidence is Confidence.LIKELY
    assert [row.left_open for row in assessment.ledger] == [96]


def test_growth_is_of_all_that_are_opened_also_of_those_too_young_to_be_judged() -> None:
    ledger = replace(books((LedgerPlace(LOAD, opened=96),), opened(96)), points=())
    snapshot = seen(ledger, bodies=None, dumped=4.0)
    assert accounts(ledger, snapshot)[0].young > 50
    (culprit,) = assess([snapshot], UnknownProgram(), WATCH).suspects
    assert culprit.growth_per_minute == pytest.approx(96 / 12 * 60)


def test_two_left_are_not_yet_a_leak() -> None:
    ledger = books((LedgerPlace(LOAD, opened=340, closed=338, closing_seconds=(0.01,) * 40),), opened(2))
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = history(12, lambda second: groups, sources=SOURCES)
    snapshots[-1] = replace(snapshots[-1], ledgers=(ledger,), goroutines=(), goroutines_time=11.9)
    assert not assess(snapshots, UnknownProgram(), WATCH).suspects


OPEN_FILE: Stack = frames("os.newFile:112", "os.OpenFile:390", "main.spool:31", "main.main:9")


def fd_books(collected: int) -> Ledger:
    open_ = tuple(Opened(20 + index, 0.5 + index / 10, 0, name="/tmp/x") for index in range(40 - collected))
    places = (LedgerPlace(OPEN_FILE, opened=40, collected=collected),)
    return Ledger(LedgerKind.FDS, 0.0, 12.0, places, open_)


def test_descriptors_are_their_openers() -> None:
    ledger = fd_books(0)
    (tally,) = tally_booked(seen(ledger), UnknownProgram())
    assert (tally.owner.function, tally.opened, tally.left_open, tally.source) == (
        "main.spool",
        40,
        40,
        "probes",
    )
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = history(12, lambda second: groups, fds=lambda second: files(4 * second), sources=SOURCES)
    snapshots[-1] = replace(snapshots[-1], ledgers=(ledger,))
    (finding,) = assess(snapshots, UnknownProgram(), WATCH).suspects
    assert (finding.kind, finding.confidence) == (LeakKind.FD, Confidence.LIKELY)
    assert finding.location is not None and finding.location.line == 31
    assert any(item.text == "40 of 40 opened here in 12 s were never closed" for item in finding.evidence)


def test_descriptors_in_the_hands_of_their_openers_are_in_use() -> None:
    """A goroutine for each connection, which closes it when it ends: more of them may just be more peers."""
    open_ = tuple(Opened(20 + index, 0.5 + index / 10, 0, goid=100 + index) for index in range(40))
    ledger = Ledger(LedgerKind.FDS, 0.0, 12.0, (LedgerPlace(OPEN_FILE, opened=40),), open_)
    inside, outside = frames("time.Sleep:1", "main.spool:40", "main.main:9"), frames("main.main:12")
    for stack, left in ((inside, 0), (outside, 40)):
        dump = tuple(Goroutine(100 + index, "sleep", stack) for index in range(40))
        (account,) = accounts(ledger, seen(ledger, dump=dump))
        assert (account.left_open, account.in_use) == (left, 40 - left)
        (tally,) = tally_booked(seen(ledger, dump=dump), UnknownProgram())
        assert (tally.opened, tally.left_open) == (40, left)
    (account,) = accounts(ledger, seen(ledger, dump=(), dumped=2.0))
    assert (account.left_open, account.young) == (16, 24)
    (tally,) = tally_booked(seen(ledger, dump=(), dumped=2.0), UnknownProgram())
    assert (tally.opened, tally.left_open) == (16, 16)


def test_what_the_collector_closes_was_left_open_for_certain() -> None:
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = history(12, lambda second: groups, fds=lambda second: files(4 * second), sources=SOURCES)
    snapshots[-1] = replace(snapshots[-1], ledgers=(fd_books(30),))
    (finding,) = assess(snapshots, UnknownProgram(), WATCH).suspects
    assert finding.confidence is Confidence.PROVEN
    (tally,) = tally_booked(seen(fd_books(30)), UnknownProgram())
    assert (tally.left_open, tally.collected) == (40, 30)


def reaped(late: tuple[float, ...], closed_unseen: int) -> Ledger:
    ledger = books((LedgerPlace(LOAD, opened=100),), opened(100, start=0.5))
    return replace(ledger, unseen_times=late, closed_unseen=closed_unseen)


def test_a_program_that_goes_on_closing_old_ones_may_close_the_new_ones_yet() -> None:
    every_tenth = tuple(index / 10 for index in range(72, 120))
    (account,) = accounts(reaped(every_tenth, 119))
    assert (account.left_open, account.young) == (0, 100)


def test_a_few_late_closes_say_nothing_of_the_many_that_are_left() -> None:
    (account,) = accounts(reaped((3.0, 7.0, 11.0), 3))
    assert account.left_open == 100


def test_what_was_under_way_when_the_probes_went_in_says_nothing() -> None:
    (account,) = accounts(reaped((0.01, 0.02, 0.9), 48))
    assert account.left_open == 100


def test_the_owners_other_accusers_are_silenced_by_full_books() -> None:
    """Memory saw bodies handed to main.load and not released; the books say that it takes its time."""
    groups = (GoroutineGroup(3, (Frame("main.main", "/src/main.go", 3),)),)
    snapshots = history(12, lambda second: groups, sources=SOURCES)
    handoffs = tuple(
        BodyHandoff(100 + number, 1, 10**9 * number, LOAD, caller_alive=False) for number in range(6)
    )
    bodies = tuple(OpenBody(100 + number, "HTTP/1.1", BodyState.UNREAD) for number in range(6))
    snapshots = [
        replace(item, bodies=BodyCensus(bodies[: 1 + second // 2]), bodies_time=float(second))
        for second, item in enumerate(snapshots)
    ]
    watch = HandoffWatch(0, 20 * 10**9, handoffs)
    snapshots[-1] = replace(snapshots[-1], handoffs=watch, handoffs_time=11.0)
    (accused,) = assess(snapshots, UnknownProgram(), WATCH).suspects
    assert accused.confidence is Confidence.LIKELY
    slow = LedgerPlace(LOAD, opened=46, closed=40, closing_seconds=(8.0,) * 40)
    snapshots[-1] = replace(snapshots[-1], ledgers=(books((slow,), opened(6, start=6.0)),))
    assert all(item.location is None for item in assess(snapshots, UnknownProgram(), WATCH).suspects)


def test_sampled_books_prove_nothing() -> None:
    ledger = replace(books((LedgerPlace(LOAD, opened=96),), opened(96)), exact=False)
    _, _, confidence, _ = diagnosis_of(ledger, holders=out_of_reach(0xC000, 0xC001))
    assert confidence is Confidence.LIKELY


def test_of_allocations_those_that_live_through_collections_are_left() -> None:
    make = frames("runtime.mallocgc:1", "main.page:40", "main.main:9")
    place = LedgerPlace(make, opened=50, collected=20, survivors=18, surviving_bytes=18 << 16)
    ledger = Ledger(LedgerKind.ALLOCATIONS, 0.0, 12.0, (place,), opened(30))
    (account,) = accounts(ledger)
    assert (account.left_open, account.young, account.surviving_bytes) == (18, 12, 18 << 16)
