"""What was opened and closed while probes watched, with who opened it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from leaktui.model.frame import Stack


class LedgerKind(Enum):
    """What is paired: each is armed by itself."""

    BODIES = "bodies"
    FDS = "fds"
    ALLOCATIONS = "allocations"


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """All that was opened with one chain of calls while the probes were armed.

    Of `opened`, `closed` were closed by the program; `ended` were not, but gave back what they held by
    themselves: a body read to its end (or to an error) without Close. `collected` were never closed and cannot be
    any more: the garbage collector took them (a body whose address was given to another, a descriptor
    closed by its finalizer, an allocation that did not survive). The rest is open.
    `closing_seconds` are how long some of the closed ones (or ended) were open, at most a few dozen.
    Of allocations, `survivors` are open and have lived through two collections, `surviving_bytes` is their size.
    `whole` is False where the chain was cut at its outer end.
    """

    stack: Stack
    opened: int = 0
    closed: int = 0
    ended: int = 0
    collected: int = 0
    bytes: int = 0
    closing_seconds: tuple[float, ...] = ()
    whole: bool = True
    survivors: int = 0
    surviving_bytes: int = 0

    @property
    def open(self) -> int:
        """Neither closed, ended nor collected so far."""
        return self.opened - self.closed - self.ended - self.collected


@dataclass(frozen=True, slots=True)
class Opened:
    """One that is still open. Text is printable; a URL is as the request has it, secrets and all.

    `key` is what tells it from the others that are open: the address of a body (bodyEOFSignal, or HTTP/2's
    clientStream) or of an allocation, a descriptor's number. `time` is seconds on the monotonic clock; `place`
    is the index in `Ledger.places`. `goid` is the goroutine that opened it. `response` is the address of the
    http.Response (0 for others), `name` a file's path or a network, `size` bytes of an allocation.
    """

    key: int
    time: float
    place: int
    goid: int = 0
    method: str = ""
    url: str = ""
    status: int | None = None
    protocol: str = ""
    content_length: int | None = None
    response: int = 0
    name: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """The books of one kind since the probes were armed. Times are seconds on the monotonic clock.

    `open` are those that are open now, the oldest first, at most a few thousand; `places` count them all.
    `closed_unseen` were closed but opened before (or where no probe looks), the last few dozen of them at
    `unseen_times`: as long after `began` as they come, things are held at least so long before they are closed.
    `without` counts what needs no Close (a response without body). `hits` is how often the target came by a probe,
    `dropped` how many hits were lost because the buffer was full: where it is not 0, the books may be wrong by that
    many. `exact` is False where hits were sampled and not recorded in the kernel: a pair may be missed then.
    `points` are (time, number open), oldest first. `armed` is False once the probes are gone; `ended` says why in a
    sentence where they disarmed themselves. `unseen` says, a sentence each, what is not probed.
    """

    kind: LedgerKind
    began: float
    time: float
    places: tuple[LedgerPlace, ...] = ()
    open: tuple[Opened, ...] = ()
    closed_unseen: int = 0
    unseen_times: tuple[float, ...] = ()
    without: int = 0
    hits: int = 0
    dropped: int = 0
    probes: int = 0
    exact: bool = True
    points: tuple[tuple[float, int], ...] = ()
    armed: bool = True
    ended: str = ""
    unseen: tuple[str, ...] = ()

    @property
    def opened(self) -> int:
        return sum(place.opened for place in self.places)

    @property
    def closed(self) -> int:
        return sum(place.closed for place in self.places)

    @property
    def still_open(self) -> int:
        return sum(place.open for place in self.places)

    @property
    def seconds(self) -> float:
        """How long the probes have been armed."""
        return self.time - self.began
