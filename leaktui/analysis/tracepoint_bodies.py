"""Response bodies opened and closed, paired from the hits of tracepoints, where no probes are permitted.

Law: it keeps the same books as probes do (`model.ledger.Ledger`), so that the same attribution and the same rules tell
who left what open. What it cannot see lowers how sure it is: a body read to its end without Close looks like one
that was left open, unless memory still lists it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leaktui.analysis import tracepoint_presets as presets
from leaktui.analysis.ledger_accounts import balance
from leaktui.analysis.program import Program, UnknownProgram
from leaktui.analysis.tracepoint_groups import lost_hits
from leaktui.model.assessment import BodyPairs, LedgerRow, OwnerPairs
from leaktui.model.finding import Confidence
from leaktui.model.frame import Stack
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened
from leaktui.model.snapshot import Snapshot
from leaktui.model.target import Target
from leaktui.model.tracepoint import TracepointHit, TracepointRun

_CLOSING_KEPT = 64
_UNSEEN_KEPT = 64


def pair_bodies(
    run: TracepointRun, snapshot: Snapshot | None = None, program: Program | None = None
) -> BodyPairs | None:
    """The bodies of *run* by owner; None where its plan does not record both ends.

    *snapshot*, taken right after the burst, tells who is alive and what memory sees of the bodies.
    """
    if not presets.pairs_bodies(run.plan.tracepoints):
        return None
    ledger, doubtful = keep_books(run)
    seen = snapshot or Snapshot(run.time, Target(None))
    listed = {body.body for body in seen.bodies.bodies} if seen.bodies is not None else set()
    owners = []
    for account in balance(ledger, seen, program or UnknownProgram()):
        row = account.row(ledger.time)
        confirmed = sum(item.key in listed for item in account.left)
        told = confirmed or row.collected or not all(item.key in doubtful for item in account.left)
        owners.append(OwnerPairs(row, _confidence(row, confirmed, run) if told else _doubted(row), confirmed))
    return BodyPairs(ledger, tuple(owners), tuple(_reservations(run, ledger, seen)))


def _confidence(row: LedgerRow, confirmed: int, run: TracepointRun) -> Confidence | None:
    if not row.left_open:
        return None
    if row.owner is None or not row.sure or lost_hits(run):
        return Confidence.POSSIBLE
    return Confidence.PROVEN if confirmed else Confidence.LIKELY


def _doubted(row: LedgerRow) -> Confidence | None:
    """Of a kind of body none of which was closed: it may be closed where no tracepoint is."""
    return Confidence.POSSIBLE if row.left_open else None


def _reservations(run: TracepointRun, ledger: Ledger, snapshot: Snapshot) -> list[str]:
    said = []
    if lost_hits(run):
        said.append(f"{lost_hits(run)} hits were counted only: some pairs are missing an end")
    if snapshot.bodies is None:
        said.append("a body read to its end without Close counts as left open here: memory was not asked")
    if ledger.closed_unseen:
        said.append(f"{ledger.closed_unseen} closed ones were opened before the burst")
    if ledger.without:
        said.append(f"{ledger.without} responses had no body to close")
    return said


def keep_books(run: TracepointRun) -> tuple[Ledger, frozenset[int]]:
    """The books of bodies over *run*, and the keys of those open of whose kind none was seen to be closed.

    Times are on the run's monotonic clock.
    """
    opening = [index for index, point in enumerate(run.plan.tracepoints) if point == presets.BODY_OPENED]
    books = _Books(run.began)
    wrapped = _wrapping_itabs(run, opening)
    for hit in run.hits:
        if hit.tracepoint in opening:
            books.open(hit, wrapped)
        elif (key := _closed_key(hit)) is not None:
            books.close(hit, key)
    return books.ledger(run), books.doubtful


def _wrapping_itabs(run: TracepointRun, opening: list[int]) -> frozenset[int]:
    """The itabs of bodies that wrap the one that is closed (gzip): seen by the first that was closed."""
    closed = {_closed_key(hit) for hit in run.hits if hit.tracepoint not in opening}
    return frozenset(
        _number(hit, presets.BODY_ITAB)
        for hit in run.hits
        if hit.tracepoint in opening
        and _number(hit, presets.BODY_FIRST_WORD) in closed
        and _number(hit, presets.BODY_DATA) not in closed
    )


def _closed_key(hit: TracepointHit) -> int | None:
    for name in (presets.CLOSED_BODY, presets.CLOSED_STREAM):
        if number := _number(hit, name):
            return number
    return None


def _value(hit: TracepointHit, name: str) -> str:
    return next((value for known, value in hit.values if known == name), "")


def _number(hit: TracepointHit, name: str) -> int:
    """The number under *name*, 0 where there is none."""
    text = _value(hit, name).strip()
    try:
        return int(text, 0)
    except ValueError:
        return 0


@dataclass(slots=True)
class _Place:
    stack: Stack
    opened: int = 0
    closed: int = 0
    collected: int = 0
    closing_seconds: list[float] = field(default_factory=list)


class _Books:
    def __init__(self, began: float) -> None:
        self._began = began
        self._places: list[_Place] = []
        self._by_stack: dict[tuple[tuple[str, int], ...], int] = {}
        self._open: dict[int, Opened] = {}
        self._unseen: list[float] = []
        self._closed_unseen = 0
        self._without = 0
        self._closed: set[int] = set()
        self._kinds: dict[int, int] = {}
        self._closed_kinds: set[int] = set()

    @property
    def doubtful(self) -> frozenset[int]:
        """Those open whose kind nobody closes where a tracepoint is."""
        return frozenset(key for key in self._open if self._kinds[key] not in self._closed_kinds)

    def open(self, hit: TracepointHit, wrapped: frozenset[int]) -> None:
        data, first = _number(hit, presets.BODY_DATA), _number(hit, presets.BODY_FIRST_WORD)
        if not data:
            return  # an error and no response
        if not first:
            self._without += 1  # http.noBody
            return
        kind = _number(hit, presets.BODY_ITAB)
        key = first if kind in wrapped else data
        self._kinds[key] = kind
        self._closed.discard(key)
        place = self._place_of(hit.stack)
        self._places[place].opened += 1
        before = self._open.pop(key, None)
        if before is not None:
            # Its memory was given to another: nobody can close it any more.
            self._places[before.place].collected += 1
        status = _number(hit, presets.BODY_STATUS)
        host = _unquoted(_value(hit, presets.BODY_HOST))
        self._open[key] = Opened(
            key,
            self._began + hit.time,
            place,
            hit.goid,
            method=_unquoted(_value(hit, presets.BODY_METHOD)) or "GET",
            url=f"//{host}{_unquoted(_value(hit, presets.BODY_PATH))}" if host else "",
            status=status or None,
        )

    def close(self, hit: TracepointHit, key: int) -> None:
        item = self._open.pop(key, None)
        if item is not None:
            place = self._places[item.place]
            place.closed += 1
            place.closing_seconds.append(self._began + hit.time - item.time)
            self._closed_kinds.add(self._kinds[key])
        elif key not in self._closed:
            # One that was closed already may be closed again (a deferred Close after another): that is no news.
            self._closed_unseen += 1
            self._unseen.append(self._began + hit.time)
        self._closed.add(key)

    def _place_of(self, stack: Stack) -> int:
        calls = tuple((frame.function, frame.line) for frame in stack)
        index = self._by_stack.setdefault(calls, len(self._places))
        if index == len(self._places):
            self._places.append(_Place(stack))
        return index

    def ledger(self, run: TracepointRun) -> Ledger:
        depth = run.plan.stack_depth
        return Ledger(
            LedgerKind.BODIES,
            run.began,
            run.time,
            places=tuple(
                LedgerPlace(
                    place.stack,
                    place.opened,
                    place.closed,
                    collected=place.collected,
                    closing_seconds=tuple(place.closing_seconds[-_CLOSING_KEPT:]),
                    whole=len(place.stack) < depth,
                )
                for place in self._places
            ),
            open=tuple(sorted(self._open.values(), key=lambda item: item.time)),
            closed_unseen=self._closed_unseen,
            unseen_times=tuple(self._unseen[-_UNSEEN_KEPT:]),
            without=self._without,
            hits=sum(run.counts),
            dropped=lost_hits(run),
            exact=not lost_hits(run),
            armed=run.armed,
        )


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
