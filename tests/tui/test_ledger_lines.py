"""The books of probes, as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.engines.protocol import LEDGERS
from leaktui.model.body import BodyState
from leaktui.model.capability import Capability, Impact, Source, SourceState
from leaktui.model.finding import Confidence
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace
from leaktui.model.target import Target
from leaktui.tui.facts import Facts
from leaktui.tui.holder_lines import HolderLook
from leaktui.tui.ledger_lines import (
    OpenOne,
    account_lines,
    chain_name,
    confidence_of,
    never_closed,
    open_lines,
    open_name,
    sums_lines,
)
from leaktui.tui.links import GoroutineLink, HoldersLink
from leaktui.tui.panes.ledger import open_ones
from leaktui.tui.panes.suspects import remark_lines
from leaktui.tui.probe_words import refusal
from leaktui.tui.strip import draw_engines, draw_status
from leaktui.tui.widgets.toned import line_text, line_width
from tests.tui.documents import targets_of, text_of
from tests.tui.scene import (
    ALLOCATION_LEDGER,
    BODY,
    BODY_LEDGER,
    DO,
    FD_LEDGER,
    HELD_BODY,
    LATEST,
    LEDGER_ROWS,
    MEMORY_SNAPSHOT,
    NOW,
    OWNER,
    PROBED,
    PROBES_REFUSED,
    PROBING_CAPABILITIES,
    PROBING_SOURCES,
    RISING_SERIES,
)

LEAKING, CLOSING, TO_END, UNKNOWN_OWNER, FILES, BUFFERS = LEDGER_ROWS
SNAPSHOT = replace(
    MEMORY_SNAPSHOT, sources=PROBING_SOURCES, ledgers=(BODY_LEDGER, FD_LEDGER, ALLOCATION_LEDGER)
)
FACTS = Facts(SNAPSHOT, PROBED, RISING_SERIES, PROBING_CAPABILITIES, under_way=frozenset(LEDGERS.values()))


def sums_of(ledger: Ledger, width: int = 80, *, ordered: bool = True) -> str:
    under_way = frozenset({LEDGERS[ledger.kind]} if ordered else ())
    facts = replace(FACTS, snapshot=replace(SNAPSHOT, ledgers=(ledger,)), under_way=under_way)
    return "\n".join(line_text(line) for line in sums_lines(facts, ledger.kind, width))


def test_the_sums_are_those_of_the_books() -> None:
    text = sums_of(BODY_LEDGER, 200)
    assert text == (
        " ● armed 12 s · opened 436 · closed 319 · to end 16 · still open 99 · gone 2 · 0 dropped · 41 probes"
    )
    assert BODY_LEDGER.opened == 319 + 16 + 99 + 2


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
@pytest.mark.parametrize(
    "ledger", [BODY_LEDGER, FD_LEDGER, ALLOCATION_LEDGER], ids=["bodies", "fds", "allocations"]
)
def test_the_sums_fit_and_lose_what_says_least_first(ledger: Ledger, width: int) -> None:
    first = sums_of(ledger, width).split("\n")[0]
    assert line_width(((first, "plain"),)) <= width
    if width >= 60:
        assert str(ledger.opened) in first and str(ledger.still_open) in first
    if "probes" in first:
        assert "dropped" in first


def test_the_graph_of_what_is_open_stands_where_there_is_room() -> None:
    ledger = replace(BODY_LEDGER, points=tuple((NOW - 12 + second, 8 * second) for second in range(13)))
    assert "█" in sums_of(ledger, 140) and "█" not in sums_of(ledger, 100)


def test_lost_hits_put_the_books_in_doubt() -> None:
    first, second = sums_of(FD_LEDGER).split("\n")
    assert "3 dropped" in first
    assert second == " 3 hits were lost, so that the books may be wrong by as many"


def test_probes_that_took_themselves_out_say_why() -> None:
    why = "the probes took themselves out: 41.2k hits a second are more than the 30.0k allowed here"
    ledger = replace(BODY_LEDGER, armed=False, ended=why)
    first, *others = sums_of(ledger, ordered=False).split("\n")
    assert first.startswith(" ○ disarmed itself after 12 s · opened 436")
    assert " ".join(line.strip() for line in others) == why


def test_the_sums_say_when_the_probes_are_on_their_way_and_when_they_are_out() -> None:
    old = replace(BODY_LEDGER, armed=False)
    assert sums_of(old, ordered=True) == " arming the probes…"
    assert sums_of(old, ordered=False).startswith(" ○ disarmed after 12 s")
    assert sums_of(BODY_LEDGER, ordered=False).startswith(" ○ disarmed after 12 s")
    nothing = replace(FACTS, snapshot=replace(SNAPSHOT, ledgers=()), under_way=frozenset())
    assert sums_lines(nothing, LedgerKind.BODIES, 80) == ()


def test_an_allocation_is_not_closed_but_freed() -> None:
    assert "made 62 · freed 48 · still alive 14" in sums_of(ALLOCATION_LEDGER)
    text = text_of(account_lines(BUFFERS, ALLOCATION_LEDGER))
    assert text.startswith("14 of 62 still alive") and "by the garbage collector" in text
    assert "close" not in text.split("Opened by")[0] and "left open" not in text


def test_an_account_names_its_owner_its_figures_and_its_chains() -> None:
    lines = account_lines(LEAKING, BODY_LEDGER)
    text = text_of(lines)
    for part in (
        "98 of 98 left open · proven",
        "main.loadUser  /srv/shop/src/user.go:41",
        "96, the oldest for 12 s",
        "2: the garbage collector took them, nobody closed them",
        "Opened by  opened 90 · closed 0 · open 88",
        "Opened by  opened 8 · closed 0 · open 8",
        "▶ main.loadUser",
        "hijacked connections",
    ):
        assert part in text
    assert targets_of(lines)[0] is OWNER
    text = text_of(account_lines(CLOSING, BODY_LEDGER))
    assert "319, half of them within 4.2 ms" in text and "3, 3 in use or young" in text
    text = text_of(account_lines(TO_END, BODY_LEDGER))
    assert "16, without Close" in text and "the calls outside these were not seen" in text
    assert "a caller of it may own them as well" in text


def test_what_is_not_in_the_books_is_said_beside_them() -> None:
    text = text_of(account_lines(LEAKING, replace(BODY_LEDGER, closed_unseen=7, without=40)))
    beside = text.split("Not in these books")[1]
    assert "40 responses without a body" in beside and "7 closed that were open before" in beside
    assert "hijacked connections" in beside
    assert "Not in" not in text_of(account_lines(LEAKING, replace(BODY_LEDGER, unseen=())))


def test_an_account_whose_ledger_was_begun_anew_shows_no_chain_of_another() -> None:
    begun = replace(BODY_LEDGER, places=(LedgerPlace(LATEST, 1),), open=())
    assert "Opened by" not in text_of(account_lines(CLOSING, begun))
    assert "Opened by" not in text_of(account_lines(LEAKING, None))


@pytest.mark.parametrize(
    ("row", "share", "surely"),
    [
        (LEAKING, 1.0, Confidence.PROVEN),
        (replace(LEAKING, sure=False), 1.0, Confidence.LIKELY),
        (UNKNOWN_OWNER, 92 / 96, Confidence.LIKELY),
        (CLOSING, 0.0, None),
        (replace(CLOSING, opened=0, left_open=0), None, None),
    ],
)
def test_how_much_is_never_closed_and_how_sure_that_is(
    row: object, share: float | None, surely: Confidence | None
) -> None:
    assert never_closed(row) == share  # type: ignore[arg-type]
    assert confidence_of(row) is surely  # type: ignore[arg-type]


def test_what_is_open_is_matched_with_what_memory_sees_of_it() -> None:
    ones = open_ones(LEAKING, FACTS)
    assert len(ones) == 96 and [one.age for one in ones] == sorted((one.age for one in ones), reverse=True)
    assert ones[0].body is HELD_BODY and all(one.body is None for one in ones[1:])
    assert {one.place for one in ones} == {BODY_LEDGER.places[0], BODY_LEDGER.places[1]}
    assert [one.item.method for one in open_ones(CLOSING, FACTS)] == ["POST"] * 3
    assert open_ones(LEAKING, replace(FACTS, snapshot=replace(SNAPSHOT, ledgers=()))) == []


def test_an_open_body_masks_its_query_and_leads_on() -> None:
    one = open_ones(LEAKING, FACTS)[0]
    lines = open_lines(one, HolderLook(BODY, offered=True))
    text = text_of(lines)
    for part in (
        BodyState.PART_READ.value,
        "GET https://users.internal/v1/users/1000?token=…",
        "status 503, HTTP/1.1",
        "10.0.3.17:443, fd 20",
        "open for    12 s",
        "goroutine 2001",
        "Who holds it",
        "Opened at",
    ):
        assert part in text
    assert "secret" not in text and open_name(one) == "GET /v1/users/1000"
    assert {GoroutineLink(2001), GoroutineLink(18), HoldersLink(BODY)} <= {
        item for item in targets_of(lines) if isinstance(item, GoroutineLink | HoldersLink)
    }
    orphan = OpenOne(one.kind, one.item, 3.0, body=replace(HELD_BODY, orphaned=True))
    assert text_of(open_lines(orphan, None)).startswith("orphaned · seen in memory")


def test_open_descriptors_and_allocations_are_called_what_they_are() -> None:
    fd = open_ones(FILES, FACTS)[0]
    assert open_name(fd) == "fd 200" and fd.address == 0
    assert "/var/lib/shop/rates.csv" in text_of(open_lines(fd, None))
    buffer = open_ones(BUFFERS, FACTS)[0]
    assert open_name(buffer) == "128 kB at 0xc001000000" and buffer.address == 0xC001000000


def test_a_chain_is_told_by_who_called_the_owner() -> None:
    assert chain_name(LedgerPlace(LATEST), OWNER) == "main.warmUp warm.go:19 ← main.main main.go:52"
    assert chain_name(LedgerPlace(DO[:4]), OWNER) == "–"
    assert chain_name(LedgerPlace(LATEST), None).startswith("http.(*Transport).roundTrip")


# -- the row of engines, and refusals ------------------------------------------------------------


def test_probes_that_nobody_ordered_are_off_and_nothing_waits_for_them() -> None:
    facts = replace(FACTS, snapshot=replace(SNAPSHOT, ledgers=()), under_way=frozenset())
    assert "○ probes off" in line_text(draw_engines(facts, 120))
    assert "watching" in line_text(draw_status(facts))
    assert "off · a arms them" in text_of(remark_lines(facts))


def test_armed_probes_say_what_they_cost() -> None:
    used = replace(
        SNAPSHOT, sources=(*PROBING_SOURCES[:2], Source("probes", SourceState.USED), PROBING_SOURCES[3])
    )
    only = replace(FACTS, snapshot=used, under_way=frozenset({LEDGERS[LedgerKind.BODIES]}))
    for width in (80, 120):
        assert "● probes armed, 25 µs a request" in line_text(draw_engines(only, width))
        assert line_width(draw_engines(only, width)) <= width
    every = replace(FACTS, snapshot=used)
    assert "armed, 25 µs a request, 5 µs an fd, 2-9 µs each" in line_text(draw_engines(every, 200))


def test_probes_that_took_themselves_out_are_no_secret() -> None:
    ledger = replace(BODY_LEDGER, armed=False, ended="process 7 (dlv) has begun to trace it")
    facts = replace(FACTS, snapshot=replace(SNAPSHOT, ledgers=(ledger,)), under_way=frozenset())
    assert "✕ probes disarmed themselves" in line_text(draw_engines(facts, 80))
    assert "off: process 7 (dlv) has begun to trace it" in line_text(draw_engines(facts, 200))


def test_a_refusal_has_the_reason_and_the_remedy() -> None:
    assert refusal(FACTS) is None
    gone = refusal(replace(FACTS, exited="process 4242 exited"))
    assert gone is not None and gone.reason == "the process has exited"
    refused = refusal(replace(FACTS, capabilities=(*PROBING_CAPABILITIES[:2], PROBES_REFUSED)))
    assert refused is not None and "only root" in refused.reason and "sudo" in refused.remedy
    # Not asked yet, forbidden, left out, out of reach.
    early = refusal(replace(FACTS, capabilities=()))
    assert early is not None and "still being found out" in early.reason
    nowhere = replace(FACTS, capabilities=(), snapshot=replace(SNAPSHOT, sources=()))
    forbidden, left_out = refusal(nowhere, read_only=True), refusal(nowhere)
    assert forbidden is not None and "--read-only" in forbidden.reason
    assert left_out is not None and "--without" in left_out.reason
    url = refusal(
        replace(nowhere, snapshot=replace(nowhere.snapshot, target=Target(None, url="http://shop/")))
    )
    assert url is not None and "URL" in url.reason


def test_an_engine_that_gives_more_than_ledgers_is_waited_for() -> None:
    both = Capability("probes", True, Impact.LIGHT, ("body-ledger", "groups"))
    facts = replace(FACTS, capabilities=(*PROBING_CAPABILITIES[:2], both), under_way=frozenset())
    assert facts.finding_sources and not FACTS.finding_sources
