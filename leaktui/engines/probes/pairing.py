"""Opens and closes, paired by what tells one thing from another while it lives: an address, a number.

Law: an address is given again once its object is gone. Each opening of a key is a generation of its own; a key
that is opened again without a close in between was collected unclosed. Bounded: beyond `MOST_OPEN` the pairing is
full and says so.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from leaktui.model.frame import Stack
from leaktui.model.ledger import LedgerPlace, Opened

MOST_OPEN = 200_000
"""More than so many open at once are not kept."""

BOOKS_FULL = (
    f"{MOST_OPEN:,} are open in the books, which is as many as they hold: what is opened now is not seen"
)
"""What a watcher says where its pairing is full."""

_CLOSED_KEPT = 1 << 16
_TIMES_KEPT = 48
_LISTED = 5000


@dataclass(slots=True)
class _Place:
    stack: Stack
    whole: bool
    opened: int = 0
    closed: int = 0
    ended: int = 0
    collected: int = 0
    bytes: int = 0
    times: list[float] = field(default_factory=list)


class Pairing:
    """The books. Not for several threads at once; *opened* and *closed* come in the order they happened."""

    def __init__(self) -> None:
        self._places: list[_Place] = []
        self._place_of: dict[tuple[Stack, bool], int] = {}
        self._open: dict[int, Opened] = {}
        # Closed already (True), or ended without Close (False): a second Close of the same is not unseen.
        self._gone: OrderedDict[int, tuple[Opened, bool]] = OrderedDict()
        self.closed_unseen = 0
        self._unseen_times: deque[float] = deque(maxlen=_TIMES_KEPT)
        self.full = False

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def __contains__(self, key: int) -> bool:
        return key in self._open

    def place(self, stack: Stack, whole: bool = True) -> int:
        """The index of the place that stands for *stack*."""
        index = self._place_of.get((stack, whole))
        if index is None:
            index = self._place_of[stack, whole] = len(self._places)
            self._places.append(_Place(stack, whole))
        return index

    def open(self, item: Opened) -> None:
        """*item* was opened; what had its key before and was not closed has been collected."""
        before = self._open.pop(item.key, None)
        if before is not None:
            self._places[before.place].collected += 1
        self._gone.pop(item.key, None)
        if len(self._open) >= MOST_OPEN:
            self.full = True
            return
        place = self._places[item.place]
        place.opened += 1
        place.bytes += item.size
        self._open[item.key] = item

    def close(self, key: int, time: float) -> None:
        """What has *key* was closed at *time* (seconds)."""
        item = self._open.pop(key, None)
        if item is not None:
            place = self._places[item.place]
            place.closed += 1
            self._gone_now(key, item, True, time)
            return
        known = self._gone.get(key)
        if known is None:
            self.closed_unseen += 1
            self._unseen_times.append(time)
        elif not known[1]:
            place = self._places[known[0].place]
            place.ended -= 1
            place.closed += 1
            self._gone[key] = (known[0], True)

    def end(self, key: int, time: float) -> None:
        """What has *key* gave back what it held without a close."""
        item = self._open.pop(key, None)
        if item is not None:
            self._places[item.place].ended += 1
            self._gone_now(key, item, False, time)

    def collect(self, key: int) -> None:
        """What has *key* was taken by the garbage collector, unclosed."""
        item = self._open.pop(key, None)
        if item is not None:
            self._places[item.place].collected += 1

    def collect_all(self, keys: Iterable[int]) -> None:
        """The same for each of *keys*."""
        for key in keys:
            self.collect(key)

    def doubt(self) -> int:
        """Strike what is open from the books: nobody knows whether it is, for hits were lost. How many that were."""
        for key, item in self._open.items():
            place = self._places[item.place]
            place.opened -= 1
            place.bytes -= item.size
            self._gone[key] = (item, True)  # when it is closed that is nothing new
        struck = len(self._open)
        self._open.clear()
        while len(self._gone) > _CLOSED_KEPT:
            self._gone.popitem(last=False)
        return struck

    @property
    def unseen_times(self) -> tuple[float, ...]:
        """When the last of those were closed that were opened before, or unseen; oldest first."""
        return tuple(self._unseen_times)

    def iter_open(self) -> Iterable[Opened]:
        """Those that are open, oldest first."""
        return self._open.values()

    def places(self) -> tuple[LedgerPlace, ...]:
        """The books by place."""
        return tuple(
            LedgerPlace(
                place.stack,
                place.opened,
                place.closed,
                place.ended,
                place.collected,
                place.bytes,
                tuple(place.times),
                place.whole,
            )
            for place in self._places
        )

    def listed(self) -> tuple[Opened, ...]:
        """Those that are open, oldest first: the first few thousand."""
        items = self._open.values()
        if len(items) <= _LISTED:
            return tuple(items)
        return tuple(item for item, _ in zip(items, range(_LISTED), strict=False))

    def _gone_now(self, key: int, item: Opened, closed: bool, time: float) -> None:
        times = self._places[item.place].times
        if len(times) >= _TIMES_KEPT:
            # The newest replace the oldest, so that a change of habit shows.
            del times[0]
        times.append(max(0.0, time - item.time))
        self._gone[key] = (item, closed)
        if len(self._gone) > _CLOSED_KEPT:
            self._gone.popitem(last=False)
