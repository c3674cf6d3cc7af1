"""Goroutines that have ended, by what the runtime leaves of them.

Law: the runtime keeps the g of a goroutine that ended for the next one, with its number and the function it began with
(runtime/proc.go gdestroy, gfput): each is counted when it is first seen so. What was used again between two looks is
not seen, so a count is the least there were.
"""

from __future__ import annotations

import struct
from collections import Counter

from leaktui.binary.pclntab import PcLineTable
from leaktui.errors import DecodeError

DEAD = 6
"""runtime/runtime2.go _Gdead."""

_WRAP_INFO = 7
"""internal/abi/symtab.go FUNCDATA_WrapInfo (Go 1.22): of a wrapper, the offset of what it wraps in the text."""

_MOST_KEPT = 200_000


class EndedGoroutines:
    """Counts those that ended since the first look; *bias* is where *table*'s addresses are loaded above."""

    def __init__(self, table: PcLineTable, bias: int) -> None:
        self._table = table
        self._bias = bias
        self._last: dict[int, int] = {}
        self._newest_at_first = 0
        self._first = True
        self._counts: Counter[int] = Counter()
        self._names: dict[int, str] = {}

    def begin(self) -> None:
        """A new look at all of them begins."""
        self._first = not self._last and not self._counts

    def note(self, address: int, goid: int, start_pc: int) -> None:
        """The g at *address* is dead; *goid* began with *start_pc*."""
        if not goid or not start_pc or self._last.get(address) == goid:
            return
        if address not in self._last and len(self._last) >= _MOST_KEPT:
            return
        self._last[address] = goid
        if self._first:
            self._newest_at_first = max(self._newest_at_first, goid)
        elif goid > self._newest_at_first:
            self._counts[start_pc] += 1

    def counts(self) -> tuple[tuple[str, int], ...]:
        """(function, how many that began with it have ended), by name."""
        totals: Counter[str] = Counter()
        for pc, count in self._counts.items():
            totals[self._name(pc)] += count
        totals.pop("", None)
        return tuple(sorted(totals.items()))

    def _name(self, pc: int) -> str:
        """The function at *pc*, or what it wraps (`go f(x)` begins with a wrapper that calls f)."""
        name = self._names.get(pc)
        if name is None:
            try:
                name = self._find_name(pc - self._bias)
            except DecodeError:
                name = ""
            self._names[pc] = name
        return name

    def _find_name(self, address: int) -> str:
        table = self._table
        index = table.index_at(address)
        if index is None:
            return ""
        data = table.tables(index).data
        offset = data[_WRAP_INFO] if len(data) > _WRAP_INFO else None
        if offset is not None and offset + 4 <= len(table.funcdata):
            wrapped = table.index_at(table.text_start + struct.unpack_from("<I", table.funcdata, offset)[0])
            index = wrapped if wrapped is not None else index
        frames = table.frames(table.entry(index))
        return frames[-1].function if frames else table.name(index)
