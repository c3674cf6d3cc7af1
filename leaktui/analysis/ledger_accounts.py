"""The books of probes by owner: who opens, who closes, and what nobody has in hand any more.

Law: a thing is left open only when nobody can be seen to use it: not younger than its owner takes to close one,
not being read, and its opener ended, moved on, or asked for another since. What the garbage collector took
unclosed was left open for certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from leaktui.analysis.attribution import (
    Attribution,
    Shares,
    innermost_user_frame,
    owner_of_body,
    user_chain,
)
from leaktui.analysis.holder_paths import is_kept
from leaktui.analysis.program import Program
from leaktui.model.assessment import LedgerRow
from leaktui.model.body import BodyState
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Goroutine
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened
from leaktui.model.open_body import OpenBody
from leaktui.model.snapshot import Snapshot

_LEAST_GRACE_SECONDS = 1.0
"""Nothing younger is anybody's fault."""

_PART_READ_GRACE_SECONDS = 10.0
"""What was read in part may be read on by somebody who takes his time."""

_HELD_GRACE_SECONDS = 20.0
"""What the program still has in hand it may close yet: retries, batches and pools are in no hurry."""

_SLOW = 0.95

_LATE_SHARE = 0.3
"""When as large a share of what is open is closed by others late, all may be."""


@dataclass(slots=True)
class Account:
    """One owner's part of the books; see LedgerRow. `young` and `in_use` are parts of what is open.

    `left` are those left open one by one, of which `lost` are known to be out of everybody's reach.
    """

    kind: LedgerKind
    attribution: Attribution | None
    stack: Stack
    protocol: str = ""
    opened: int = 0
    closed: int = 0
    ended: int = 0
    collected: int = 0
    open: int = 0
    left_open: int = 0
    in_use: int = 0
    young: int = 0
    callers_ended: int = 0
    bytes: int = 0
    surviving_bytes: int = 0
    lost: int = 0
    witnessed: bool = True
    closing_seconds: list[float] = field(default_factory=list)
    oldest: float | None = None
    places: list[int] = field(default_factory=list)
    left: list[Opened] = field(default_factory=list)

    @property
    def known(self) -> int:
        """How many have met their fate: given back, or left open for certain."""
        return self.closed + self.ended + self.left_open

    def row(self, now: float) -> LedgerRow:
        """The account as the interface shows it, at *now* (seconds on the monotonic clock)."""
        return LedgerRow(
            kind=self.kind,
            owner=self.attribution.frame if self.attribution is not None else None,
            sure=self.attribution is not None and self.attribution.sure,
            opened=self.opened,
            closed=self.closed,
            ended=self.ended,
            collected=self.collected,
            open=self.open,
            left_open=self.left_open,
            busy=self.in_use + self.young,
            closing_seconds=median(self.closing_seconds) if self.closing_seconds else None,
            oldest_seconds=None if self.oldest is None else max(0.0, now - self.oldest),
            bytes=self.bytes,
            places=tuple(self.places),
        )


def balance(ledger: Ledger, snapshot: Snapshot, program: Program) -> tuple[Account, ...]:
    """The accounts of all owners in *ledger*, those with most left open first.

    *snapshot* says who is alive, and what memory sees of the bodies.
    """
    witness = _Witness(ledger, snapshot)
    by_place: dict[int, list[Opened]] = {}
    for item in ledger.open:
        by_place.setdefault(item.place, []).append(item)
    owners = _owners(ledger, program, witness, by_place)
    accounts: dict[object, Account] = {}
    for index, place in enumerate(ledger.places):
        owner = owners[index]
        key: object = index
        if owner is not None:
            key = (owner.frame.function, owner.frame.file, owner.frame.line)
        account = accounts.get(key)
        if account is None:
            stack = place.stack[owner.index :] if owner is not None else place.stack
            account = accounts[key] = Account(ledger.kind, owner, stack)
        _enter(account, index, place, by_place.get(index, []), witness)
    return tuple(sorted(accounts.values(), key=lambda item: (-item.left_open, -item.open, -item.opened)))


def _owners(
    ledger: Ledger, program: Program, witness: _Witness, by_place: Mapping[int, Sequence[Opened]]
) -> list[Attribution | None]:
    """The owner of each place, in their order."""
    if ledger.kind is not LedgerKind.BODIES:
        found = []
        for place in ledger.places:
            frame = innermost_user_frame(place.stack, program)
            found.append(Attribution(frame[1], frame[0], True) if frame is not None else None)
        return found
    shares = Shares()
    for index, place in enumerate(ledger.places):
        chain = [frame for _, frame in user_chain(place.stack, program)]
        left = sum(witness.is_old(item, place) for item in by_place.get(index, ()))
        shares.add(chain, True, left + place.collected)
        shares.add(chain, False, place.closed + place.ended)
    return [owner_of_body(place.stack, program, shares) for place in ledger.places]


def _enter(
    account: Account, index: int, place: LedgerPlace, items: Sequence[Opened], witness: _Witness
) -> None:
    account.places.append(index)
    account.opened += place.opened
    account.closed += place.closed
    account.ended += place.ended
    account.collected += place.collected
    account.open += place.open
    account.bytes += place.bytes
    account.closing_seconds += place.closing_seconds
    if account.kind is LedgerKind.ALLOCATIONS:
        # To be collected is what becomes of them; what lives through it is kept by somebody.
        account.left_open += place.survivors
        account.young += place.open - place.survivors
        account.surviving_bytes += place.surviving_bytes
        for item in items:
            account.oldest = item.time if account.oldest is None else min(account.oldest, item.time)
        return
    account.left_open += place.collected
    for item in items:
        account.protocol = account.protocol or item.protocol
        account.oldest = item.time if account.oldest is None else min(account.oldest, item.time)
        if not witness.is_old(item, place):
            account.young += 1
        elif witness.is_in_use(item, place, account.attribution):
            account.in_use += 1
        elif witness.is_untold(item):
            account.young += 1
        else:
            account.left_open += 1
            account.left.append(item)
            account.lost += witness.is_lost(item)
            account.callers_ended += witness.has_caller_ended(item)
    # Beyond those listed one by one: as old or older than the ones left open.
    account.left_open += max(0, place.open - len(items)) if account.left_open else 0
    account.witnessed = account.witnessed and witness.sees


class _Witness:
    """What other sources saw of the things in a ledger, and of those who opened them."""

    def __init__(self, ledger: Ledger, snapshot: Snapshot) -> None:
        self._now = ledger.time
        self._places = ledger.places
        self._dump_time = snapshot.goroutines_time
        self._goroutines: dict[int, Goroutine] | None = None
        if snapshot.goroutines is not None:
            self._goroutines = {item.goid: item for item in snapshot.goroutines}
        self._bodies: dict[int, OpenBody] = {}
        if snapshot.bodies is not None and ledger.kind is LedgerKind.BODIES:
            self._bodies = {body.body: body for body in snapshot.bodies.bodies if body.body}
        self.sees = self._goroutines is not None and (
            snapshot.bodies is not None or ledger.kind is not LedgerKind.BODIES
        )
        self._habit = _habit_of(ledger)
        self._lost = {search.subject for search in snapshot.holders if search.unreachable or search.forsaken}
        kept = {search.subject for search in snapshot.holders if is_kept(search)}
        self._held_places = {item.place for item in ledger.open if item.key in kept}
        self._last: dict[tuple[int, int], float] = {}
        for item in ledger.open:
            self._last[item.goid, item.place] = item.time

    def is_old(self, item: Opened, place: LedgerPlace) -> bool:
        """Whether *item* has been open for longer than its like ever are."""
        grace = max(_LEAST_GRACE_SECONDS, self._habit)
        if place.closing_seconds:
            ordered = sorted(place.closing_seconds)
            grace = max(grace, 2 * ordered[min(len(ordered) - 1, int(len(ordered) * _SLOW))])
        if item.place in self._held_places:
            grace = max(grace, _HELD_GRACE_SECONDS)
        body = self._bodies.get(item.key)
        if body is not None and body.state is BodyState.PART_READ and body.orphaned is not True:
            grace = max(grace, _PART_READ_GRACE_SECONDS)
        return self._now - item.time > grace

    def is_lost(self, item: Opened) -> bool:
        """Whether nothing of the program's that lives leads to *item* any more."""
        return item.key in self._lost

    def is_untold(self, item: Opened) -> bool:
        """Whether *item* was opened after the last look at its opener, so that more cannot be said yet."""
        return self._goroutines is not None and item.time > self._dump_time

    def is_in_use(self, item: Opened, place: LedgerPlace, owner: Attribution | None) -> bool:
        """Whether somebody reads *item*, or its opener is still where it got it, with nothing newer in hand."""
        body = self._bodies.get(item.key)
        if body is not None and body.state is BodyState.BEING_READ:
            return True
        if body is not None and body.orphaned:
            return False
        caller = self._goroutines.get(item.goid) if self._goroutines is not None and item.goid else None
        if caller is None or owner is None or item.time > self._dump_time:
            return False
        if self._last[item.goid, item.place] > item.time:
            return (
                False  # it has asked again at the same call since: what it held before, it no longer looks at
            )
        return _is_inside(caller.stack, place, owner)

    def has_caller_ended(self, item: Opened) -> bool:
        """Whether the goroutine that opened *item* was gone at the last look."""
        if self._goroutines is None or not item.goid or item.time > self._dump_time:
            return False
        return item.goid not in self._goroutines


def _habit_of(ledger: Ledger) -> float:
    """How long things have to be open at least before that means anything, by closes of what was opened before.

    A program that holds bodies for long and closes them in the end (a pool, a reaper) goes on closing old ones while
    we watch the new. A few late closes beside many left open (streams that end) say nothing of the others.
    """
    late = [time for time in ledger.unseen_times if time > ledger.began + _LEAST_GRACE_SECONDS]
    if not late:
        return 0.0
    rate = len(late) / max(_LEAST_GRACE_SECONDS, late[-1] - late[0])
    expected = min(float(ledger.closed_unseen), rate * (late[-1] - ledger.began))
    if expected < _LATE_SHARE * ledger.still_open:
        return 0.0
    return 2 * (late[-1] - ledger.began)


def _is_inside(current: Stack, place: LedgerPlace, owner: Attribution) -> bool:
    """Whether a goroutine whose stack is *current* is still in the owner's call of the stack of *place*."""
    opened = place.stack
    if not place.whole:
        return any(frame.function == owner.frame.function for frame in current)
    from_root = len(opened) - owner.index
    if len(current) < from_root:
        return False
    return _functions(current[-from_root:]) == _functions(opened[owner.index :])


def _functions(stack: Sequence[Frame]) -> list[str]:
    return [frame.function for frame in stack]
