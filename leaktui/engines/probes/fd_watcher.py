"""The books of file descriptors: who opened each, who closed it.

Law: a descriptor's number is its key: the kernel gives it to one at a time, and its close is seen before the kernel
can give it to another. What is no longer listed in /proc though nobody was seen closing it was closed past the
standard library (by C code, or a raw system call); that is believed only of two listings in a row.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.probes.call_chain import CallChains
from leaktui.engines.probes.fd_sites import FIRST, GOID, NUMBER, FdEvent, find_fd_sites
from leaktui.engines.probes.pairing import BOOKS_FULL, Pairing
from leaktui.engines.probes.recipe import Hit, Site
from leaktui.engines.proc_stat import target_error
from leaktui.errors import TargetError
from leaktui.model.ledger import Ledger, LedgerKind, Opened
from leaktui.text import printable

_LISTING_SECONDS = 1.0
_LISTING_SHARE = 0.02
"""Of our time, at most, is spent on reading /proc/PID/fd."""

_MOST_NUMBER = 1 << 31
_CHAINS_KEPT = 1 << 12
_ENDED_KEPT = 1 << 12
_FILE = b"file"

_UNSEEN = (
    "descriptors that were never in the standard library's books are not seen: raw system calls, C code,"
    " the runtime's own",
)


class FdWatcher:
    """Pairs the descriptors one process opens with their closes. For one thread."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._pid = attachment.pid
        self._pairing = Pairing()
        self._chains = CallChains(attachment.executable, attachment.bias)
        self._collector: tuple[tuple[int, int], ...] = ()
        self._unprobed: tuple[str, ...] = ()
        self._collected: OrderedDict[tuple[int, ...], bool] = OrderedDict()
        # Addresses of the poll.FD of those open: one is initialised twice at times.
        self._object_of: dict[int, int] = {}
        # Open before the probes were.
        self._before: set[int] = set()
        self._closed_unseen = 0
        # Listed twice in a row, and in no book.
        self._strangers: frozenset[int] = frozenset()
        self._unknown: frozenset[int] = frozenset()
        # Open by our books (their times) but not in the last listing.
        self._missing: dict[int, float] = {}
        self._ended: OrderedDict[int, float] = OrderedDict()
        self._listing_due = 0.0

    def sites(self) -> tuple[Site, ...]:
        """Where to probe; arm them soon after. Raises EngineUnavailable, TargetGone and TargetForbidden."""
        found = find_fd_sites(self._attachment)
        self._collector = found.collector
        self._unprobed = found.unseen
        self._before = _list_numbers(self._pid)
        return found.sites

    def unseen(self) -> tuple[str, ...]:
        """What these probes do not see."""
        return (*_UNSEEN, *self._unprobed)

    def handle(self, hit: Hit) -> None:
        """Enter *hit* into the books; hits come in the order they happened."""
        if hit.site.event == FdEvent.CLOSE.value:
            self._close(hit)
        else:
            self._open(hit)

    def doubt(self) -> None:
        """Hits were lost: which descriptors are open the kernel's own list tells."""

    def ledger(self, began: float, now: float) -> Ledger:
        """The books as they stand; they stay when the process goes."""
        if now >= self._listing_due:
            self._compare(now)
        return Ledger(
            LedgerKind.FDS,
            began,
            now,
            places=self._pairing.places(),
            open=self._pairing.listed(),
            closed_unseen=self._closed_unseen,
            unseen=tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        if self._pairing.full:
            yield BOOKS_FULL
        if self._strangers:
            yield (
                f"{len(self._strangers)} of the descriptors opened since were opened past the standard library,"
                " so that these books do not have them"
            )

    # --- opened ---

    def _open(self, hit: Hit) -> None:
        number, first = hit.words[NUMBER], hit.words[FIRST]
        if number >= _MOST_NUMBER:
            return
        seconds = hit.time_ns / 1e9
        initialised = hit.site.event == FdEvent.INIT.value
        if number in self._pairing:
            if initialised and self._object_of.get(number) == first:
                return
            # The kernel would not give it again had it not been closed; nobody saw who did it.
            self._pairing.end(number, seconds)
        self._before.discard(number)
        self._missing.pop(number, None)
        self._ended.pop(number, None)
        if initialised:
            self._object_of[number] = first
        else:
            self._object_of.pop(number, None)
        place = self._pairing.place(self._chains.stack(hit.site.address, hit.frames), hit.whole)
        self._pairing.open(Opened(number, seconds, place, goid=hit.words[GOID], name=_name_of(hit)))

    # --- closed ---

    def _close(self, hit: Hit) -> None:
        number = hit.words[FIRST]
        seconds = hit.time_ns / 1e9
        if number in self._pairing:
            self._object_of.pop(number, None)
            self._missing.pop(number, None)
            if self._is_collected(hit.frames):
                self._pairing.collect(number)
            else:
                self._pairing.close(number, seconds)
        elif number in self._before:
            self._before.discard(number)
            self._closed_unseen += 1
        elif seconds < self._ended.get(number, 0.0):
            # It was gone from the listing before we heard of its close.
            del self._ended[number]
            self._pairing.close(number, seconds)

    def _is_collected(self, frames: tuple[int, ...]) -> bool:
        """Whether the garbage collector closes it, because its owner has forgotten it."""
        known = self._collected.get(frames)
        if known is None:
            known = any(start <= frame < end for frame in frames for start, end in self._collector)
            self._collected[frames] = known
            if len(self._collected) > _CHAINS_KEPT:
                self._collected.popitem(last=False)
        return known

    # --- what the kernel has ---

    def _compare(self, now: float) -> None:
        """End what is gone from /proc, where it was gone when we last looked, too."""
        began = time.monotonic()
        try:
            listed = _list_numbers(self._pid)
        except TargetError:
            return
        if not listed:
            return  # none at all: its first thread has exited, which tells nothing of the others' descriptors
        first, self._listing_due = (
            not self._listing_due,
            now + max(_LISTING_SECONDS, (time.monotonic() - began) / _LISTING_SHARE),
        )
        if first:
            self._before = listed - {item.key for item in self._pairing.iter_open()}
        unknown = frozenset(number for number in listed - self._before if number not in self._pairing)
        self._strangers, self._unknown = unknown & self._unknown, unknown
        missing = {
            item.key: item.time
            for item in self._pairing.iter_open()
            if item.time < began and item.key not in listed
        }
        for number, opened in missing.items():
            if self._missing.get(number) == opened:
                self._pairing.end(number, now)
                self._object_of.pop(number, None)
                self._ended[number] = began
        while len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)
        self._missing = {number: opened for number, opened in missing.items() if number in self._pairing}


def _name_of(hit: Hit) -> str:
    texts = hit.texts
    if hit.site.event == FdEvent.PROCESS.value:
        return f"process {hit.words[FIRST]}"
    text = texts[0] if texts else b""
    if hit.site.event == FdEvent.INIT.value and text == _FILE and len(texts) > 1:
        text = texts[1]
    return printable(text.decode("utf-8", "replace"))


def _list_numbers(pid: int) -> set[int]:
    """The numbers of the descriptors *pid* has open; raises TargetGone and TargetForbidden."""
    try:
        names: Iterable[str] = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - names, not paths
    except OSError as error:
        raise target_error(pid, error) from None
    return {int(name) for name in names}
