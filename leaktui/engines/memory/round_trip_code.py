"""net/http's `(*persistConn).roundTrip` as machine code: who calls it, what their frames look like.

Law: nothing is read but the executable. Addresses given out and taken are the process's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import NamedTuple

from leaktui.binary.callsites import find_call_sites
from leaktui.binary.executable import Executable
from leaktui.binary.pclntab import PcLineTable
from leaktui.binary.stack_maps import StackMaps
from leaktui.engines.memory.call_order import CallOrder
from leaktui.errors import DecodeError

_ROUND_TRIP = "net/http.(*persistConn).roundTrip"
_GET_CONN = "net/http.(*Transport).getConn"
_SELECT = "runtime.selectgo"
_TOP_FRAME = 1  # internal/abi.FuncFlagTopFrame
_HOMES_CACHED = 1 << 10
_CODES_CACHED = 1 << 15


class Code(NamedTuple):
    """The function around a return address: `size` are the bytes of its frame there; `top` ends a stack."""

    entry: int
    size: int
    top: bool


class RoundTripCode:
    """What is known of roundTrip in an executable loaded *bias* away. Not thread-safe."""

    def __init__(self, executable: Executable, bias: int, order: CallOrder) -> None:
        self._executable = executable
        self._bias = bias
        self._order = order
        self._table: PcLineTable = executable.pc_lines
        self._maps = StackMaps(self._table)
        self.code_at: Callable[[int], Code | None] = lru_cache(_CODES_CACHED)(self._find_code)
        """The function that a call at an address returns to; None where there is none."""
        self.homes: Callable[[int], frozenset[int]] = lru_cache(_HOMES_CACHED)(self._find_homes)
        """Where, counted from varp, a caller now at an address has live pointers when it is given a connection.

        None of them counts if it may not have been given one yet.
        """

    @property
    def usable(self) -> bool:
        """Whether the program has a roundTrip that we know."""
        return bool(self.frame_size and self._callers)

    @cached_property
    def _linked(self) -> int:
        function = self._executable.find_function(_ROUND_TRIP)
        return function.entry if function is not None else 0

    @property
    def entry(self) -> int:
        """Its entry address."""
        return self._linked + self._bias

    @cached_property
    def waiting(self) -> int:
        """Where its own select returns to: the pc of a goroutine that waits there; 0 for none."""
        select = self._executable.find_function(_SELECT)
        if not self._linked or select is None:
            return 0
        found = max(self._order.calls_of(self._linked + 1, select.entry), default=0)
        return found + self._bias if found else 0

    @cached_property
    def frame_size(self) -> int:
        """Bytes of its frame."""
        code = self.code_at(self.waiting) if self.waiting else None
        return code.size if code is not None else 0

    @cached_property
    def _callers(self) -> dict[tuple[int, int], frozenset[int]]:
        """Where the functions that call it are, and where these calls return to."""
        found: dict[tuple[int, int], frozenset[int]] = {}
        if self._linked:
            for site in find_call_sites(self._executable, (_ROUND_TRIP,)):
                function = self._executable.function_at(site.pc)
                if function is not None:
                    calls = self._order.calls_of(function.entry + 1, self._linked)
                    place = function.entry + self._bias, function.end + self._bias
                    found[place] = frozenset(pc + self._bias for pc in calls)
        return found

    def returns_of(self, pc: int) -> frozenset[int] | None:
        """Where the calls of roundTrip return to in the function that has *pc*; None where it makes none."""
        for (start, end), returns in self._callers.items():
            if start < pc < end:
                return returns
        return None

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Matches the upper six bytes of addresses in its callers."""
        highs = {high for start, end in self._callers for high in range(start >> 16, ((end - 1) >> 16) + 1)}
        return re.compile(b"|".join(re.escape(high.to_bytes(6, "little")) for high in sorted(highs)))

    def _find_homes(self, pc: int) -> frozenset[int]:
        place, found = pc - self._bias, set[int]()
        if self._order.is_past(place, self._get_connection):
            for after in self._order.calls_of(place, self._get_connection):
                frame = self._maps.at(after)
                found.update(frame.locals if frame is not None else ())
        return frozenset(found)

    @cached_property
    def _get_connection(self) -> int:
        function = self._executable.find_function(_GET_CONN)
        return function.entry if function is not None else -1

    def _find_code(self, pc: int) -> Code | None:
        address = pc - self._bias
        index = self._table.index_at(address) if address > 0 else None
        if index is None:
            return None
        try:
            info = self._table.info(index)
            size = self._table.stack_delta(info, address) if info.stack_values else -1
        except DecodeError:
            return None
        return Code(info.entry + self._bias, size, bool(info.flags & _TOP_FRAME))
