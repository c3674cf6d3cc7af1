"""Calls of `(*persistConn).roundTrip` on a stack, in progress or left over: who asked for a response.

Law: a call that has returned leaves its frame where it was until something as deep overwrites it. A return address
at the place where a frame's must be says that the function it is in made its last call from there. The chain goes
on outwards only where that function must have called what is below: the call before the return address does; or on
every way to where the function got since then, one and the same such call comes last. A call through a variable counts
only if it was seen to lead there. Anything else ends the chain. Nothing is read here: bytes in, chains out.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

from leaktui.binary.callsites import find_call_sites
from leaktui.binary.executable import Executable
from leaktui.binary.pclntab import PcLineTable
from leaktui.engines.memory.call_order import CallOrder
from leaktui.engines.memory.unwind import Call, End, Unwinder
from leaktui.errors import DecodeError
from leaktui.model.frame import Stack

ROUND_TRIP = "net/http.(*persistConn).roundTrip"
_SELECT = "runtime.selectgo"
_TOP_FRAME = 1  # internal/abi.FuncFlagTopFrame
_DEPTH = 256
_ARGUMENTS = 16
"""Above a return address: the home of roundTrip's receiver and argument (cmd/compile/abi-internal.md)."""

_LOWEST = 1 << 16
_HIGHEST = 1 << 47
_FRAGMENTS = 8
_CODES_CACHED = 1 << 15
_EDGES_LIMIT = 1 << 14


class Fragment(NamedTuple):
    """A frame of roundTrip at `low`..`high` of a stack's bytes; at `high` is where it returns to.

    `words` are what is in it; `certain` says that the last call from its caller's frame was this one.
    """

    low: int
    high: int
    connection: int
    transport_request: int
    words: tuple[int, ...]
    certain: bool


class CallerChain(NamedTuple):
    """The calls from roundTrip outwards; `whole` says that they go on to the goroutine's entry.

    `entry` is the entry address of the outermost function. `pcs` are the return addresses, innermost first.
    """

    stack: Stack
    whole: bool
    entry: int
    pcs: tuple[int, ...]


class _Code(NamedTuple):
    """The function around a return address: `size` are the bytes of its frame there."""

    entry: int
    size: int
    top: bool


class StackResidue:
    """Finds roundTrip's frames on stacks of one process, and follows them outwards. Not thread-safe."""

    def __init__(self, executable: Executable, bias: int, unwinder: Unwinder) -> None:
        self._executable = executable
        self._table: PcLineTable = executable.pc_lines
        self._bias = bias
        self._unwinder = unwinder
        self._order = CallOrder(executable)
        self._codes: dict[int, _Code | None] = {}
        self._edges: dict[int, set[int]] = {}
        """By function (its entry): return addresses of calls through variables that were seen to call it."""
        self._edge_count = 0
        self._homes: dict[int, frozenset[int]] = {}
        """By caller of roundTrip: where in its frame the transportRequest was, whenever a call was in progress."""
        self._stacks: dict[tuple[int, ...], CallerChain | None] = {}

    @property
    def usable(self) -> bool:
        """Whether the program has a roundTrip that we know."""
        return bool(self._frame_size and self._callers)

    # --- what the program looks like ---

    @cached_property
    def _round_trip(self) -> int:
        """Link-time entry address of roundTrip, 0 for none."""
        function = self._executable.find_function(ROUND_TRIP)
        return function.entry if function is not None else 0

    @cached_property
    def _waiting(self) -> int:
        """Where roundTrip's own select returns to: the pc of a goroutine that waits there; 0 for none."""
        select = self._executable.find_function(_SELECT)
        if not self._round_trip or select is None:
            return 0
        return max(self._order.calls_of(self._round_trip + 1, select.entry), default=0)

    @cached_property
    def _frame_size(self) -> int:
        code = self._code_at(self._waiting + self._bias) if self._waiting else None
        return code.size if code is not None else 0

    @cached_property
    def _callers(self) -> dict[tuple[int, int], frozenset[int]]:
        """Where the functions that call roundTrip are, and where these calls return to."""
        found: dict[tuple[int, int], frozenset[int]] = {}
        if self._round_trip:
            for site in find_call_sites(self._executable, (ROUND_TRIP,)):
                function = self._executable.function_at(site.pc)
                if function is not None:
                    calls = self._order.calls_of(function.entry + 1, self._round_trip)
                    found[function.entry + self._bias, function.end + self._bias] = frozenset(
                        pc + self._bias for pc in calls
                    )
        return found

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        """Matches the upper bytes of addresses in the callers of roundTrip."""
        highs = {
            high for start, end in self._callers for high in range(start >> 16, ((end - 1) >> 16) + 1)
        }
        return re.compile(b"|".join(re.escape(high.to_bytes(6, "little")) for high in sorted(highs)))

    # --- frames ---

    def iter_fragments(self, data: bytes) -> Iterator[Fragment]:
        """Frames of roundTrip in the bytes of a stack, at most a few."""
        count = 0
        for match in self._pattern.finditer(data):
            high = match.start() - 2
            low = high - self._frame_size
            if high % 8 or low < 0 or high + 8 + _ARGUMENTS > len(data):
                continue
            pc, connection, request = struct.unpack_from("<3Q", data, high)
            returns = next((pcs for (start, end), pcs in self._callers.items() if start < pc < end), None)
            if returns is None or min(connection, request) < _LOWEST or max(connection, request) >= _HIGHEST:
                continue
            if connection % 8 or request % 8:
                continue
            words = struct.unpack_from(f"<{(high - low) // 8}Q", data, low)
            yield Fragment(low, high, connection, request, words, pc in returns)
            count += 1
            if count >= _FRAGMENTS:
                return

    def follow(self, data: bytes, fragment: Fragment, entry: int) -> CallerChain | None:
        """The calls around *fragment* in the bytes of a whole stack, as far as they can be proven.

        *entry* is the function the goroutine began with. None where not even roundTrip's caller can be.
        """
        if not fragment.certain and not self._keeps_request(data, fragment):
            return None
        callee = self._round_trip + self._bias
        offset = fragment.high
        patches: list[tuple[int, int]] = []
        pcs: list[int] = []
        whole = False
        for _ in range(_DEPTH):
            if offset + 8 > len(data):
                break
            (found,) = struct.unpack_from("<Q", data, offset)
            code = self._code_at(found)
            if code is None:
                break
            if code.top:
                whole = callee == entry
                break
            first = not pcs
            pc = self._call_before(found, callee, first=first)
            code = self._code_at(pc) if pc else None
            if code is None or code.size <= 0:
                break
            pcs.append(pc)
            patches.append((offset, pc))
            offset += 8 + code.size
            callee = code.entry
        if not pcs:
            return None
        return self._chain(data, fragment, patches, tuple(pcs), offset, whole)

    def _keeps_request(self, data: bytes, fragment: Fragment) -> bool:
        """Whether roundTrip's caller has its request where it had it whenever it was seen calling."""
        (pc,) = struct.unpack_from("<Q", data, fragment.high)
        code = self._code_at(pc)
        homes = self._homes.get(code.entry) if code is not None else None
        if not homes:
            return False
        return all(
            struct.unpack_from("<Q", data, fragment.high + home)[0] == fragment.transport_request
            for home in homes
            if fragment.high + home + 8 <= len(data)
        )

    def _call_before(self, pc: int, callee: int, *, first: bool) -> int:
        """The return address of the call of *callee* that the function at *pc* made last, 0 where that is not sure."""
        bias = self._bias
        if self._order.target_of(pc - bias) == callee - bias:
            return pc
        if not self._order.is_call(pc - bias):
            return 0
        if first:
            # Its arguments are in the caller's frame, so it was called; a deferred call may have come since,
            # on a way that all of the function's ends share.
            calls = self._order.calls_of(pc - bias, callee - bias)
            return calls[0] + bias if len(calls) == 1 else 0
        others = [other - bias for other in self._edges.get(callee, ())]
        found = self._order.last_call(pc - bias, callee - bias, others)
        return 0 if found is None else found + bias

    def _chain(
        self,
        data: bytes,
        fragment: Fragment,
        patches: list[tuple[int, int]],
        pcs: tuple[int, ...],
        end: int,
        whole: bool,
    ) -> CallerChain | None:
        key = (*pcs, int(whole))
        if key not in self._stacks:
            if len(self._stacks) >= _CODES_CACHED:
                self._stacks.clear()
            mended = bytearray(data[fragment.low :] if whole else data[fragment.low : end])
            for offset, pc in patches:
                struct.pack_into("<Q", mended, offset - fragment.low, pc)
            trace = self._unwinder.unwind(self._waiting + self._bias, bytes(mended), whole=whole)
            if trace.end is (End.TOP if whole else End.CUT):
                stack = tuple(replace(frame, pc=frame.pc - 1) for frame in trace.stack)
                self._stacks[key] = CallerChain(stack, whole, trace.entry, pcs)
            else:
                self._stacks[key] = None
        return self._stacks[key]

    # --- learning ---

    def learn_calls(self, calls: tuple[Call, ...]) -> None:
        """Note where calls through variables lead, from the live frames of a goroutine at rest."""
        for inner, outer in zip(calls, calls[1:], strict=False):
            if outer.at_call and self._edge_count < _EDGES_LIMIT:
                known = self._edges.setdefault(inner.entry, set())
                if outer.pc not in known and not self._order.target_of(outer.pc - self._bias):
                    known.add(outer.pc)
                    self._edge_count += 1

    def learn_request(self, data: bytes, fragment: Fragment) -> None:
        """Note where the caller of a roundTrip in progress has its transportRequest."""
        (pc,) = struct.unpack_from("<Q", data, fragment.high)
        code = self._code_at(pc)
        if code is None or not fragment.certain:
            return
        start = 8 + _ARGUMENTS
        size = min(code.size - _ARGUMENTS, len(data) - fragment.high - start)
        if size <= 0:
            return
        words = struct.unpack_from(f"<{size // 8}Q", data, fragment.high + start)
        homes = frozenset(
            start + 8 * at for at, word in enumerate(words) if word == fragment.transport_request
        )
        self._homes[code.entry] = self._homes.get(code.entry, homes) & homes

    # --- code ---

    def _code_at(self, pc: int) -> _Code | None:
        """The function that a call at *pc* returns to; None where there is none."""
        try:
            return self._codes[pc]
        except KeyError:
            pass
        if len(self._codes) >= _CODES_CACHED:
            self._codes.clear()
        try:
            code = self._find_code(pc)
        except DecodeError:
            code = None
        self._codes[pc] = code
        return code

    def _find_code(self, pc: int) -> _Code | None:
        address = pc - self._bias
        index = self._table.index_at(address) if address > 0 else None
        if index is None:
            return None
        info = self._table.info(index)
        size = self._table.stack_delta(info, address) if info.stack_values else -1
        return _Code(info.entry + self._bias, size, bool(info.flags & _TOP_FRAME))
