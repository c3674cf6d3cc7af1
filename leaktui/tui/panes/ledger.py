"""Listings of the books that probes keep: by owner, then what each owner has open, and the chains of calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaktui.model.assessment import LedgerRow
from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace
from leaktui.text import format_bytes, format_count, masked_url
from leaktui.tui.body_lines import searched_address
from leaktui.tui.census_lines import percent_text
from leaktui.tui.details import stack_lines
from leaktui.tui.facts import Facts
from leaktui.tui.holder_lines import look_of
from leaktui.tui.ledger_lines import (
    OpenOne,
    account_lines,
    chain_name,
    confidence_of,
    never_closed,
    open_lines,
    open_name,
    places_of,
    row_name,
)
from leaktui.tui.panes.level import DocumentLevel, Level, Listing, TableLevel
from leaktui.tui.probe_words import KIND_NOUNS, SHORT_NOUNS, armed_kinds, left_out, offered_kinds, refusal
from leaktui.tui.widgets.columns import UNKNOWN, Column, name_column, number_column
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import CONFIDENCE_TONES, age_text, frame_place, function_name

_STRENGTH: dict[Confidence | None, int] = {
    Confidence.PROVEN: 0,
    Confidence.LIKELY: 1,
    Confidence.POSSIBLE: 2,
    None: 3,
}


@dataclass(frozen=True, slots=True)
class Account:
    """A row of the ledger. `frame` is its owner, or the outermost call where no owner is known.

    `held_bytes` is the size of what is open, None where not all of it is listed one by one.
    """

    row: LedgerRow
    frame: Frame | None
    held_bytes: int | None


def accounts_of(facts: Facts, kind: LedgerKind) -> list[Account]:
    """The rows of *kind*, in the order of the analysis: those who leave most open first."""
    ledger = facts.snapshot.ledger(kind)
    if ledger is None:
        return []
    sizes: dict[int, list[int]] = {}
    if kind is LedgerKind.ALLOCATIONS:
        for item in ledger.open:
            sizes.setdefault(item.place, []).append(item.size)
    return [_account(row, ledger, sizes) for row in facts.assessment.ledger if row.kind is kind]


def _account(row: LedgerRow, ledger: Ledger, sizes: Mapping[int, Sequence[int]]) -> Account:
    frame = row.owner
    if frame is None:
        stack = next((place.stack for place in places_of(row, ledger)), ())
        frame = stack[-1] if stack else None
    held = [size for place in row.places for size in sizes.get(place, ())]
    return Account(row, frame, sum(held) if len(held) == row.open else None)


def _owner(account: Account) -> Span:
    if account.frame is None:
        return UNKNOWN, "muted"
    name = function_name(account.frame.function)
    return (name, "strong") if account.row.owner is not None else (f"~ {name}", "muted")


def _open(account: Account) -> Span:
    return format_count(account.row.open), "warning" if account.row.left_open else "plain"


def _never_share(account: Account) -> float | None:
    return never_closed(account.row)


def _never(account: Account) -> Span:
    share = _never_share(account)
    if share is None:
        return UNKNOWN, "muted"
    return f"{percent_text(share) if share else 0} %", "warning" if account.row.left_open else "muted"


def _sureness(account: Account) -> Span:
    surely = confidence_of(account.row)
    return (surely.value, CONFIDENCE_TONES[surely]) if surely is not None else (UNKNOWN, "muted")


def _strength(account: Account) -> int:
    return _STRENGTH[confidence_of(account.row)]


def _owner_function(account: Account) -> str | None:
    return account.row.owner.function if account.row.owner is not None else None


def _where(account: Account) -> str:
    return frame_place(account.frame) if account.frame is not None else ""


_OWNER: Column[Account] = Column("owner", _owner, _owner_function, 24, 4)
_WHERE: Column[Account] = name_column("where", _where, 12, 1, tone="accent", cut="start")
_OLDEST: Column[Account] = number_column("oldest", lambda account: account.row.oldest_seconds, age_text, 6)
_CLOSABLE: tuple[Column[Account], ...] = (
    number_column("opened", lambda account: account.row.opened, format_count, 6),
    number_column("closed", lambda account: account.row.closed, format_count, 6),
    Column("open", _open, lambda account: account.row.open, 5, align="right", descending=True),
    Column("never", _never, _never_share, 6, align="right", descending=True),
    _OLDEST,
    _OWNER,
    _WHERE,
    Column("sure", _sureness, _strength, 6),
    number_column("busy", lambda account: account.row.busy or None, format_count, 5, rank=3, tone="muted"),
    number_column(
        "gone", lambda account: account.row.collected or None, format_count, 5, rank=2, tone="danger"
    ),
)
_TO_END: Column[Account] = number_column(
    "to end", lambda account: account.row.ended or None, format_count, 6, rank=1, tone="muted"
)
_COLUMNS: dict[LedgerKind, tuple[Column[Account], ...]] = {
    LedgerKind.BODIES: (*_CLOSABLE[:2], _TO_END, *_CLOSABLE[2:]),
    LedgerKind.FDS: _CLOSABLE,
    # Nobody closes an allocation: the collector takes what nothing holds any more, and what is held stays.
    LedgerKind.ALLOCATIONS: (
        number_column("made", lambda account: account.row.opened, format_count, 6),
        number_column("freed", lambda account: account.row.collected, format_count, 6),
        Column("alive", _open, lambda account: account.row.open, 6, align="right", descending=True),
        number_column("held", lambda account: account.held_bytes, format_bytes, 8, tone="strong"),
        _OLDEST,
        _OWNER,
        _WHERE,
        number_column(
            "made bytes", lambda account: account.row.bytes, format_bytes, 10, rank=1, tone="muted"
        ),
    ),
}


def owner_key(row: LedgerRow) -> tuple[str, str, int, int]:
    """What names an owner while its figures change; its first place where the owner is not known."""
    if row.owner is None:
        return "", "", 0, row.places[0] if row.places else -1
    return row.owner.function, row.owner.file, row.owner.line, -1


def _search(account: Account) -> str:
    frame, surely = account.frame, confidence_of(account.row)
    name = f"{frame.function} {frame.file}" if frame is not None else ""
    return f"{name}\n{surely.value if surely is not None else ''}"


def _empty(facts: Facts, kind: LedgerKind) -> str:
    what, ledger = KIND_NOUNS[kind], facts.snapshot.ledger(kind)
    if kind in armed_kinds(facts):
        if ledger is None or not ledger.armed:
            return "The probes are on their way into the process."
        return f"Nothing was opened since the probes for {what} are armed."
    if ledger is not None:
        return "Nothing was opened while the probes were armed."
    if kind in offered_kinds(facts):
        key = "A" if armed_kinds(facts) else "a"
        return f"{key} arms probes for {what}: from then on, who opens them, and which are closed."
    refused = refusal(facts)
    if refused is None:
        reason = left_out(facts)
        return f"No probes for {what} here" + (f": {reason}" if reason else ".")
    return f"No probes: {refused.reason}" + (f" → {refused.remedy}" if refused.remedy else "")


def ledger_listing(kind: LedgerKind) -> Listing[Account]:
    """Who opened things of *kind* while probes watched, those who leave most open first."""
    return Listing(
        f"ledger of {SHORT_NOUNS[kind]}", "owners", _COLUMNS[kind], lambda facts: accounts_of(facts, kind),
        lambda account: owner_key(account.row), _search,
        lambda account, facts: account_lines(account.row, facts.snapshot.ledger(kind)),
        lambda account: _open_owner(account.row), lambda account: account.frame,
        sort=None, empty=lambda facts: _empty(facts, kind),
    )  # fmt: skip


# -- an owner ------------------------------------------------------------------------------------


def _open_owner(row: LedgerRow) -> Level:
    """What *row* has open, or its chains of calls where nothing is."""
    listings: list[Listing[Any]] = [_open_listing(row), _chain_listing(row)]
    return TableLevel(row_name(row), listings, mode=0 if row.open else 1)


def _newest(row: LedgerRow, facts: Facts) -> LedgerRow:
    key = owner_key(row)
    rows = (item for item in facts.assessment.ledger if item.kind is row.kind)
    return next((item for item in rows if owner_key(item) == key), row)


def open_ones(row: LedgerRow, facts: Facts) -> list[OpenOne]:
    """What *row* has open now, oldest first."""
    ledger = facts.snapshot.ledger(row.kind)
    if ledger is None:
        return []
    row = _newest(row, facts)
    mine = frozenset(row.places)
    bodies = {}
    if row.kind is LedgerKind.BODIES:
        bodies = {body.address: body for body in facts.assessment.bodies if body.address}
    return [
        OpenOne(
            row.kind,
            item,
            max(0.0, ledger.time - item.time),
            ledger.places[item.place] if item.place < len(ledger.places) else None,
            row.owner,
            bodies.get(item.key),
        )
        for item in ledger.open
        if item.place in mine
    ]


def _state(one: OpenOne) -> Span:
    if one.body is None:
        return UNKNOWN, "muted"
    return ("orphaned", "danger") if one.body.orphaned else (one.body.state.value, "plain")


def _state_name(one: OpenOne) -> str | None:
    return _state(one)[0] if one.body is not None else None


_AGE: Column[OpenOne] = number_column("age", lambda one: one.age, age_text, 6)
_GOROUTINE: Column[OpenOne] = number_column(
    "goroutine", lambda one: one.item.goid or None, str, 10, rank=1, tone="muted"
)
_ADDRESS: Column[OpenOne] = Column(
    "address", lambda one: (f"{one.item.key:#x}", "muted"), lambda one: one.item.key, 14, rank=6
)
_OPEN_COLUMNS: dict[LedgerKind, tuple[Column[OpenOne], ...]] = {
    LedgerKind.BODIES: (
        name_column("method", lambda one: one.item.method, 6, rank=3),
        name_column("URL", lambda one: masked_url(one.item.url), 32, 3, cut="start"),
        number_column("status", lambda one: one.item.status, str, 6, rank=2),
        name_column("proto", lambda one: one.item.protocol, 8, rank=4),
        number_column("length", lambda one: one.item.content_length, format_bytes, 8, rank=5),
        Column("in memory", _state, _state_name, 10, rank=3),
        _AGE,
        _GOROUTINE,
        _ADDRESS,
    ),
    LedgerKind.FDS: (
        number_column("fd", lambda one: one.item.key, str, 6, tone="strong"),
        name_column("name", lambda one: one.item.name, 24, 3),
        _AGE,
        _GOROUTINE,
    ),
    LedgerKind.ALLOCATIONS: (
        number_column("size", lambda one: one.item.size, format_bytes, 9, tone="strong"),
        Column("address", lambda one: (f"{one.item.key:#x}", "plain"), lambda one: one.item.key, 18, 1),
        _AGE,
        _GOROUTINE,
    ),
}


def _search_open(one: OpenOne) -> str:
    item = one.item
    state = _state_name(one) or ""
    return f"{item.method}\n{item.url}\n{item.status}\n{item.protocol}\n{item.name}\n{item.goid}\n{state}"


def _open_key(one: OpenOne) -> tuple[int, float]:
    return one.item.key, one.item.time


def _describe_open(one: OpenOne, facts: Facts) -> list[DocLine]:
    address = _held(one)
    return open_lines(one, look_of(facts, address) if address else None)


def _held(one: OpenOne) -> int:
    """What is searched for whoever holds *one*."""
    return searched_address(one.body) if one.body is not None else one.address


def _open_listing(row: LedgerRow) -> Listing[OpenOne]:
    return Listing(
        "one by one", "still open", _OPEN_COLUMNS[row.kind], lambda facts: open_ones(row, facts),
        _open_key, _search_open, _describe_open, lambda one: OpenLevel(row, one), lambda one: one.owner,
        sort=None, empty=lambda facts: "Nothing of it is open; g lists the chains of calls.",
        held=None if row.kind is LedgerKind.FDS else _held,
    )  # fmt: skip


class OpenLevel(DocumentLevel):
    """One thing for as long as it is open; *one* is what it was when it was opened here."""

    def __init__(self, row: LedgerRow, one: OpenOne) -> None:
        super().__init__(open_name(one), self._describe_newest, frame=one.owner)
        self._row = row
        self._one = one

    def _describe_newest(self, facts: Facts) -> Sequence[DocLine]:
        key = _open_key(self._one)
        newest = next((item for item in open_ones(self._row, facts) if _open_key(item) == key), None)
        self._one = newest or self._one
        lines = _describe_open(self._one, facts)
        if newest is None:
            lines.insert(0, DocLine((("no longer open: what was seen last", "warning"),)))
        return lines

    @property
    def held(self) -> int | None:
        return _held(self._one) or None


# -- chains of calls -----------------------------------------------------------------------------


def _chain_listing(row: LedgerRow) -> Listing[LedgerPlace]:
    def rows(facts: Facts) -> Sequence[LedgerPlace]:
        ledger = facts.snapshot.ledger(row.kind)
        return places_of(_newest(row, facts), ledger) if ledger is not None else []

    def name(place: LedgerPlace) -> str:
        return chain_name(place, row.owner)

    def describe(place: LedgerPlace, facts: Facts) -> Sequence[DocLine]:
        return stack_lines(place.stack, row.owner)

    columns: tuple[Column[LedgerPlace], ...] = (
        number_column("opened", lambda place: place.opened, format_count, 6),
        number_column("closed", lambda place: place.closed, format_count, 6),
        number_column("open", lambda place: place.open, format_count, 6, tone="strong"),
        name_column("called by", name, 24, 1, show=str),
    )
    return Listing(
        "by chain of calls", "chains", columns, rows, lambda place: (place.stack, place.whole), name,
        describe, lambda place: DocumentLevel("chain of calls", lambda facts: describe(place, facts)),
        lambda place: row.owner, sort=2,
    )  # fmt: skip


def next_kind(kind: LedgerKind) -> LedgerKind:
    """The kind after *kind*, round and round."""
    kinds: list[LedgerKind] = list(LedgerKind)
    return kinds[(kinds.index(kind) + 1) % len(kinds)]
