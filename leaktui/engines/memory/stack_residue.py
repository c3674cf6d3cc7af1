"""Calls of `(*persistConn).roundTrip` on a stack, in progress or left over: who asked for a response.

Law: a call that has returned leaves its frame where it was until something as deep overwrites it. A return address
at the place where a frame's must be says that the function it is in made its last call from there. The chain goes
on outwards only where that function must have called what is below: the call before the return address does; or on
every way to where the function got since then, one and the same such call comes last. A call through a variable counts
only if it was seen to lead there. Anything else ends the chain. Nothing is read here: bytes in, chains out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from typing import NamedTuple

from leaktui.binary.callsites import find_call_sites
from leaktui.binary.executable import Executable
from leaktui.engines.memory.call_order import CallOrder
from leaktui.engines.memory.round_trip_code import RoundTripCode
from leaktui.engines.memory.unwind import Call, Chain, End, Unwinder
from leaktui.model.frame import Stack

_DEPTH = 256
_ARGUMENTS = 16
"""Above a return address: the home of roundTrip's receiver and argument (cmd/compile/abi-internal.md)."""

_LOWEST = 1 << 16
_HIGHEST = 1 << 47
_FRAGMENTS = 8
_LOST = 2
"""Return addresses of one chain that may be lost."""

_TRIALS = 512
_SEARCHES = 32
_CHAINS_CACHED = 1 << 15
_EDGES_LIMIT = 1 << 14


class Fragment(NamedTuple):
    """The frame of a function that calls roundTrip, and that of roundTrip below it, if it got so far.

    `high` is where in a stack's bytes what that function called returns to; roundTrip's frame begins at `low`, and the
    other ends at `end`.
    `connection` and `transport_request` are what roundTrip was called with, 0 where that is not to be seen;
    `words` are those in its frame, `caller_words` those in the frame of its caller, of which `homes` were live when it
    got its connection. `certain` says that roundTrip was the last thing called.
    """

    low: int
    high: int
    end: int
    connection: int
    transport_request: int
    words: tuple[int, ...]
    caller_words: tuple[int, ...]
    homes: frozenset[int]
    certain: bool


class CallerChain(NamedTuple):
    """The calls from roundTrip outwards; `whole` says that they go on to the goroutine's entry.

    `entry` is the entry address of the outermost function. `pcs` are the return addresses, innermost first.
    """

    stack: Stack
    whole: bool
    entry: int
    pcs: tuple[int, ...]


class _Step(NamedTuple):
    """The function at `entry` called what is below it; that returns to `pc`, which is at `offset` of the stack's bytes.

    Its own return address is at `next`, or would be: -1 for the function a goroutine began with.
    """

    offset: int
    pc: int
    next: int
    entry: int


class StackResidue:
    """Finds roundTrip's frames on stacks of one process, and follows them outwards. Not thread-safe."""

    def __init__(self, executable: Executable, bias: int, unwinder: Unwinder) -> None:
        self._executable = executable
        self._bias = bias
        self._unwinder = unwinder
        self._order = CallOrder(executable)
        self._code = RoundTripCode(executable, bias, self._order)
        self._edges: dict[int, set[int]] = {}
        """By function (its entry): return addresses of calls through variables that were seen to call it."""
        self._edge_count = 0
        self._sites: dict[int, tuple[int, ...]] = {}
        self._stacks: dict[tuple[int, ...], CallerChain | None] = {}

    @property
    def usable(self) -> bool:
        """Whether the program has a roundTrip that we know."""
        return self._code.usable

    # --- frames ---

    def may_have_fragments(self, data: bytes) -> bool:
        """Whether `iter_fragments` is worth while; quick."""
        return self._code.pattern.search(data) is not None

    def iter_fragments(self, data: bytes) -> Iterator[Fragment]:
        """Frames of callers of roundTrip in the bytes of a stack, at most a few."""
        count = 0
        for match in self._code.pattern.finditer(data):
            high = match.start() - 2
            low = high - self._code.frame_size
            if high % 8 or low < 0 or high + 8 + _ARGUMENTS > len(data):
                continue
            pc, connection, request = struct.unpack_from("<3Q", data, high)
            returns = self._code.returns_of(pc)
            code = self._code.code_at(pc) if returns is not None else None
            if (
                returns is None
                or code is None
                or code.size < _ARGUMENTS
                or not self._order.is_call(pc - self._bias)
            ):
                continue
            end = high + 8 + code.size
            if end > len(data):
                continue
            varp = end - 8  # where the frame pointer is saved (runtime/stkframe.go)
            homes = frozenset(
                struct.unpack_from("<Q", data, varp + offset)[0]
                for offset in self._code.homes(pc)
                if varp + offset >= high + 8
            )
            # Were this frame that of a later request, which has not got as far as roundTrip, what is live in it
            # since it got its connection would be that one's.
            called = _is_pointer(connection) and _is_pointer(request) and (pc in returns or request in homes)
            yield Fragment(
                low,
                high,
                end,
                connection if called else 0,
                request if called else 0,
                struct.unpack_from(f"<{(high - low) // 8}Q", data, low) if called else (),
                struct.unpack_from(f"<{code.size // 8}Q", data, high + 8),
                homes,
                pc in returns,
            )
            count += 1
            if count >= _FRAGMENTS:
                return

    def follow(self, data: bytes, fragment: Fragment, entry: int) -> CallerChain | None:
        """The calls around *fragment* in the bytes of a whole stack, as far as they can be proven.

        *entry* is the function the goroutine began with. None where not even roundTrip's caller can be.
        """
        (found,) = struct.unpack_from("<Q", data, fragment.high)
        code = self._code.code_at(found)
        if code is None:
            return None
        bias = self._bias
        calls = self._order.calls_of(found - bias, self._code.entry - bias)
        if found - bias not in calls and len(calls) != 1:
            return None
        pc = found if found - bias in calls else calls[0] + bias
        step = _Step(fragment.high, pc, fragment.high + 8 + code.size, code.entry)
        steps = self._walk(data, step, entry)
        if steps[-1].next >= 0:
            budget = [_TRIALS]
            ways = list(islice(self._iter_ways(data, steps, entry, _LOST, budget), 2))
            if len(ways) == 1 and budget[0] > 0:
                steps = ways[0]
        return self._chain(data, fragment, steps)

    def follow_live(self, data: bytes, fragment: Fragment, chain: Chain, start: int) -> CallerChain | None:
        """The calls around *fragment*, which is in progress; *chain* is the stack from *start* of *data* on."""
        (found,) = struct.unpack_from("<Q", data, fragment.high)
        calls = self._order.calls_of(found - self._bias, self._code.entry - self._bias)
        if not calls or (found - self._bias not in calls and len(calls) != 1):
            return None
        steps: list[_Step] = []
        for call in chain.calls:
            offset = start + call.offset - 8
            if offset < fragment.high:
                continue
            if offset > fragment.high and not steps:
                return None
            pc = call.pc
            if not steps and found - self._bias not in calls:
                pc = calls[0] + self._bias
            steps.append(_Step(offset, pc, offset + 8 + call.size, call.entry))
        if not steps:
            return None
        if chain.end is End.TOP:
            steps[-1] = steps[-1]._replace(next=-1)
        return self._chain(data, fragment, steps)

    def _walk(self, data: bytes, step: _Step, entry: int) -> list[_Step]:
        """*step*, and those outwards from it; `next` of the last one is -1 where the goroutine's entry was reached."""
        steps = [step]
        while len(steps) < _DEPTH:
            if step.next + 8 > len(data):
                break
            (found,) = struct.unpack_from("<Q", data, step.next)
            code = self._code.code_at(found)
            if code is not None and code.top:
                if step.entry == entry:
                    steps[-1] = step._replace(next=-1)
                break
            pc = self._call_before(found, step.entry)
            code = self._code.code_at(pc) if pc else None
            if code is None or code.size <= 0:
                break
            step = _Step(step.next, pc, step.next + 8 + code.size, code.entry)
            steps.append(step)
        return steps

    def _iter_ways(
        self, data: bytes, steps: list[_Step], entry: int, lost: int, budget: list[int]
    ) -> Iterator[list[_Step]]:
        """The ways on from *steps* to the goroutine's entry, if *lost* return addresses may have been overwritten.

        What is where a return address was, is then none; every call of the function below is tried in its place.
        """
        last = steps[-1]
        if last.next < 0:
            yield steps
            return
        if not lost or last.next + 8 > len(data):
            return
        (found,) = struct.unpack_from("<Q", data, last.next)
        if self._order.is_call(found - self._bias):
            return
        callers = self._callers_of(last.entry)
        if callers is None:
            budget[0] = 0
            return
        for pc in callers:
            budget[0] -= 1
            if budget[0] <= 0:
                return
            code = self._code.code_at(pc)
            if code is not None and code.size > 0:
                step = _Step(last.next, pc, last.next + 8 + code.size, code.entry)
                way = [*steps, *self._walk(data, step, entry)]
                yield from self._iter_ways(data, way, entry, lost - 1, budget)

    def _callers_of(self, callee: int) -> tuple[int, ...] | None:
        """The return addresses of all calls of *callee* that are known; None when too many were searched for."""
        known = self._sites.get(callee)
        if known is None:
            if len(self._sites) >= _SEARCHES:
                return None
            function = self._executable.function_at(callee - self._bias)
            found: set[int] = set()
            if function is not None:
                for site in find_call_sites(self._executable, (function.name,)):
                    found.update(self._order.calls_of(site.pc + 1, function.entry))
            known = self._sites[callee] = tuple(sorted(pc + self._bias for pc in found))
        return (*known, *self._edges.get(callee, ()))

    def _call_before(self, pc: int, callee: int) -> int:
        """The return address of the call of *callee* that the function at *pc* made last, 0 where that is not sure."""
        bias = self._bias
        if self._order.target_of(pc - bias) == callee - bias:
            return pc
        if not self._order.is_call(pc - bias):
            return 0
        others = [other - bias for other in self._edges.get(callee, ())]
        found = self._order.last_call(pc - bias, callee - bias, others)
        return 0 if found is None else found + bias

    def _chain(self, data: bytes, fragment: Fragment, steps: list[_Step]) -> CallerChain | None:
        whole = steps[-1].next < 0
        pcs = tuple(step.pc for step in steps)
        key = (*pcs, int(whole))
        if key not in self._stacks:
            if len(self._stacks) >= _CHAINS_CACHED:
                self._stacks.clear()
            mended = bytearray(data[fragment.low :] if whole else data[fragment.low : steps[-1].next])
            for step in steps:
                struct.pack_into("<Q", mended, step.offset - fragment.low, step.pc)
            trace = self._unwinder.unwind(self._code.waiting, bytes(mended), whole=whole)
            if trace.end is (End.TOP if whole else End.CUT):
                stack = tuple(replace(frame, pc=frame.pc - 1) for frame in trace.stack)
                self._stacks[key] = CallerChain(stack, whole, trace.entry, pcs)
            else:
                self._stacks[key] = None
        return self._stacks[key]

    # --- learning ---

    def learn_calls(self, calls: tuple[Call, ...]) -> None:
        """Note where calls through variables lead, from the live frames of a goroutine at rest."""
        for inner, outer in pairwise(calls):
            if outer.at_call and self._edge_count < _EDGES_LIMIT:
                known = self._edges.setdefault(inner.entry, set())
                if outer.pc not in known and not self._order.target_of(outer.pc - self._bias):
                    known.add(outer.pc)
                    self._edge_count += 1


def _is_pointer(word: int) -> bool:
    return not word % 8 and _LOWEST < word < _HIGHEST
