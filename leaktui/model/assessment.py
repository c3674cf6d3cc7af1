"""What the analysis makes of a session so far: suspects, and a row for everything that can be listed."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.body import BodyHolder
from leaktui.model.finding import Confidence, Finding, Verdict
from leaktui.model.frame import Frame
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.process import FdKind
from leaktui.model.profile import AllocSite


@dataclass(frozen=True, slots=True)
class Slope:
    """A robust trend (Theil–Sen: the median of all pairwise slopes).

    `low` and `high` bound it at about 95 %; `rising` is the conclusion: the lower bound is above zero
    and the series did not level off. `points` is how many values it rests on, `seconds` the time they span.
    """

    per_minute: float
    low: float
    high: float
    points: int
    seconds: float
    rising: bool


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Goroutines with one stack: a row of the Goroutines pane. `owner` is the innermost user frame.

    `unreachable` of them are known to wait for ever; `sources` are those that see the group.
    """

    group: GoroutineGroup
    owner: Frame | None
    slope: Slope | None
    delta: int
    goids: tuple[int, ...] = ()
    unreachable: int = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteRow:
    """An allocation site: a row of the Heap pane. Deltas are since the baseline, in bytes and objects."""

    site: AllocSite
    owner: Frame | None
    slope: Slope | None
    delta_bytes: int
    delta_objects: int


@dataclass(frozen=True, slots=True)
class FdRow:
    """Descriptors of one kind and pattern of name (digits folded), with their trend."""

    kind: FdKind
    pattern: str
    count: int
    slope: Slope | None
    seconds_to_limit: float | None = None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """All that one owner opened while probes watched: a row of the ledger.

    `opened` is `closed` + `ended` + `collected` + `open` (see LedgerPlace). Of those not closed `left_open` are
    nobody's any more, `busy` are in somebody's hands: being read, or younger than this owner takes to close one.
    `sure` is False where another frame may own them as well, `owner` None where no frame can.
    `closing_seconds` is the median of those that were closed, `oldest_seconds` how long the oldest open one is open.
    `places` are indexes into the ledger's places.
    """

    kind: LedgerKind
    owner: Frame | None
    sure: bool
    opened: int
    closed: int
    ended: int
    collected: int
    open: int
    left_open: int
    busy: int
    closing_seconds: float | None = None
    oldest_seconds: float | None = None
    bytes: int = 0
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnerPairs:
    """What one owner opened during a burst of tracepoints, and how sure it is that it leaves some open.

    `confirmed` of those are still listed open by memory. `confidence` is None where none are left open.
    """

    row: LedgerRow
    confidence: Confidence | None
    confirmed: int = 0


@dataclass(frozen=True, slots=True)
class BodyPairs:
    """Bodies paired from a burst: those who leave most open first. `reservations` say what the pairs do not tell."""

    ledger: Ledger
    owners: tuple[OwnerPairs, ...]
    reservations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """The analysis of a session at one moment; everything the panes list, already in order.

    `settled` says that more watching would not change the verdict. `missing` says, in a sentence each,
    what could not be seen. `ask_holders_of` are addresses of bodies: who holds them would make a suspect surer.
    `pairs` are the bodies of the newest burst of tracepoints, where it paired them.
    """

    time: float
    verdict: Verdict
    suspects: tuple[Finding, ...] = ()
    bodies: tuple[BodyHolder, ...] = ()
    open_bodies: int | None = None
    groups: tuple[GroupRow, ...] = ()
    sites: tuple[SiteRow, ...] = ()
    fds: tuple[FdRow, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    settled: bool = False
    ask_holders_of: tuple[int, ...] = ()
    pairs: BodyPairs | None = None


EMPTY = Assessment(time=0.0, verdict=Verdict.UNDECIDED)
