"""The calls of roundTrip that the stacks of goroutines show, over time.

Law: a stack is believed if two readings of it are the same, and as that of a goroutine at rest only if the g around
them is. Reading comes first, when there is no time to lose; making sense of it (`settle`) can wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.runtime_layout import GState
from leaktui.engines.memory.stack_residue import CallerChain, Fragment, StackResidue
from leaktui.engines.memory.unwind import Call, Chain, End
from leaktui.errors import DecodeError

_STACK_LIMIT = 256 << 10
_DEAD = 6  # runtime._Gdead
_AT_REST = frozenset((1, 3, 4, 9, 10))  # runnable, syscall, waiting, preempted, leaked
_KEPT = 1 << 13
_SIGHTINGS_A_WORD = 8
_LOWEST = 1 << 16
_CALLERS = 24
_CAPTURED = 256
_UNCLEAR = 512


@dataclass(slots=True)
class Sighting:
    """A call of roundTrip first seen on a goroutine's stack at `time`, CLOCK_MONOTONIC in nanoseconds.

    `live` says that its caller's frame was in use, which had ended, or gone on, at `until` (None while it has not).
    `chain` is None where who called is not clear. `address` is that of its runtime.g, `since` when the goroutine was
    first seen on this stack, 0 for one that had it before the watch.
    `contexts` is what may be its transportRequest, among `homes`, and the context of that. The
    others are those of stack_residue.Fragment.
    """

    goid: int
    address: int
    time: int
    since: int
    live: bool
    words: frozenset[int]
    caller_words: frozenset[int]
    homes: frozenset[int]
    contexts: frozenset[tuple[int, int]]
    connection: int
    chain: CallerChain | None
    generation: int
    """Collections (mheap_.sweepgen) when the call was known to go on, or, if not `live`, known not to have begun."""
    until: int | None = None


@dataclass(slots=True, eq=False)
class _Unclear:
    """A fragment whose chain was not clear when it was seen; it may be when more has been learnt."""

    sighting: Sighting
    data: bytes
    fragment: Fragment
    entry: int


class _Capture(NamedTuple):
    """A stack read twice, and the g before and after; `since` is as in Sighting."""

    address: int
    state: GState
    after: GState
    data: bytes
    again: bytes
    time: int
    since: int
    generation: int
    """Collections so far; `generation_before` as of the look before, `generation_examined` as of the last capture."""
    generation_before: int
    generation_examined: int


class CallerWatch:
    """Collects sightings, by connection and by what may be their request. Not thread-safe."""

    def __init__(self, attachment: Attachment, context_of: Callable[[int], int]) -> None:
        """*context_of* reads the context of a transportRequest; it raises DecodeError for what is none."""
        self._memory = attachment.memory
        self._context_of = context_of
        self._goroutines = attachment.goroutines
        self._unwinder = attachment.unwinder
        self.residue = StackResidue(attachment.executable, attachment.bias, attachment.unwinder)
        self._sightings: dict[int, deque[Sighting | _Unclear]] = {}
        self._last: dict[tuple[int, int], int] = {}
        """By goroutine and place of a fragment, a hash of what was last in it."""
        self._generation = self._generation_before = 0
        self._examined: dict[int, int] = {}
        """By address of a runtime.g: the generation it was last examined in."""
        self._stacks: dict[int, tuple[int, int, int]] = {}
        """By address of a runtime.g: goid and stack it had."""
        self._births: dict[int, tuple[tuple[int, int, int], int]] = {}
        """By address of a runtime.g: its goid and stack, and when it was first seen with these."""
        self._unclear: deque[_Unclear] = deque()
        self._captured: list[_Capture] = []
        self._live: dict[int, dict[int, Sighting]] = {}
        """By address of a runtime.g and place on its stack: calls that were in progress when it was last seen."""
        self._learnt: set[tuple[Call, ...]] = set()
        self.callers: dict[int, None] = {}
        """Addresses of the runtime.g whose stacks show calls, the latest last: others will be made there."""

    def learn(self, state: GState) -> None:
        """Learn from the calls of a goroutine at rest."""
        stack = self._goroutines.read_stack(state, _STACK_LIMIT)
        if stack is not None and stack.whole:
            self._unwind(stack.data, state)

    def _unwind(self, data: bytes, state: GState) -> Chain:
        """The frames of a goroutine at rest; *data* ends where its stack ends. They are learnt from, too."""
        in_syscall = state.syscall_sp != 0
        pc, sp = (state.syscall_pc, state.syscall_sp) if in_syscall else (state.pc, state.sp)
        chain = self._unwinder.chain(pc, data[len(data) - (state.high - sp) :], in_syscall=in_syscall)
        if chain.calls not in self._learnt:
            if len(self._learnt) >= _KEPT:
                self._learnt.clear()
            self._learnt.add(chain.calls)
            self.residue.learn_calls(chain.calls)
        return chain

    def _follow_live(self, state: GState, data: bytes, fragment: Fragment) -> CallerChain | None:
        sp = state.syscall_sp or state.sp
        chain = self._unwind(data, state)
        if chain.end is End.TOP and chain.calls and chain.calls[-1].entry == state.start_pc:
            return self.residue.follow_live(data, fragment, chain, sp - state.low)
        return None

    def begin_look(self, generation: int) -> None:
        """What is examined from now on is as of *generation* of the collector, 0 where that is not known."""
        self._generation_before, self._generation = self._generation, generation

    def examine(self, address: int, state: GState, now: int, *, new: bool = True) -> None:
        """Look for calls on the stack of a goroutine that moved; *new* is False at the first look of all.

        Raises TargetGone.
        """
        goid, low, high = state.goid, state.low, state.high
        if state.status == _DEAD and not high:
            # Its stack was given back: what is on it stays until another goroutine gets it.
            goid, low, high = self._stacks.get(address, (goid, 0, 0))
        if not low or high - low > _STACK_LIMIT or high <= low or (high - low) % 8:
            return
        if len(self._stacks) >= _KEPT:
            self._stacks.clear()
        born = self._births.get(address)
        place = self._stacks[address] = (goid, low, high)
        # What is left over on a stack that was got just now, when the old one was too small, may be another's.
        if born is None or born[0] != place:
            if len(self._births) >= _KEPT:
                self._births.clear()
            self._births[address] = place, now if new else 0
        try:
            data = self._memory.read(low, high - low)
            known = self.residue.may_have_fragments(data)
            again = self._memory.read(low, high - low) if known else b""
        except DecodeError:
            return
        after = self._goroutines.state_at(address) if known else state
        before = state._replace(goid=goid, low=low, high=high)
        if after is not None and after.high in (0, high):
            self._captured.append(
                _Capture(
                    address,
                    before,
                    after,
                    data if known else b"",
                    again,
                    now,
                    self._births[address][1],
                    self._generation,
                    self._generation_before,
                    self._examined.get(address, 0),
                )
            )
        if len(self._examined) >= _KEPT:
            self._examined.clear()
        self._examined[address] = self._generation
        if len(self._captured) >= _CAPTURED:
            self.settle()

    def settle(self) -> None:
        """Make sense of the stacks captured since the last time. Raises TargetGone."""
        captured, self._captured = self._captured, []
        for item in captured:
            with suppress(DecodeError):
                self._note(item)

    def _note(self, item: _Capture) -> None:
        state, after, data = item.state, item.after, item.data
        sp = state.syscall_sp or state.sp
        rests = state.status in _AT_REST and (after.status, after.sp, after.syscall_sp, after.goid) == (
            state.status,
            state.sp,
            state.syscall_sp,
            state.goid,
        )
        going_on: dict[int, Sighting] = {}
        fresh: list[tuple[Fragment, bool]] = []
        before = self._live.pop(item.address, {})
        for fragment in self.residue.iter_fragments(data) if data else ():
            # What is in these two frames tells one call from another; what lies further out can only get worse.
            key, content = (item.address, fragment.high), hash(data[fragment.low : fragment.end])
            live = rests and state.low <= sp <= state.low + fragment.high
            if self._last.get(key) == content:
                if live and fragment.high in before:
                    going_on[fragment.high] = before[fragment.high]
            elif item.again[fragment.low :] == data[fragment.low :]:
                if len(self._last) >= _KEPT:
                    self._last.clear()
                self._last[key] = content
                fresh.append((fragment, live))
        for high, sighting in before.items():
            if high not in going_on:
                sighting.until, sighting.generation = item.time, item.generation_before
        for fragment, live in fresh:
            sighting = self._add(item, fragment, live=live)
            if live:
                going_on[fragment.high] = sighting
        if going_on:
            if len(self._live) >= _KEPT:
                self._live.clear()
            self._live[item.address] = going_on

    def _add(self, item: _Capture, fragment: Fragment, *, live: bool) -> Sighting:
        address, state, data = item.address, item.state, item.data
        self.callers.pop(address, None)
        self.callers[address] = None
        if len(self.callers) > _CALLERS:
            del self.callers[next(iter(self.callers))]
        chain = None
        if live:
            chain = self._follow_live(state, data, fragment)
        if chain is None:
            chain = self.residue.follow(data, fragment, state.start_pc)
        sighting = Sighting(
            goid=state.goid,
            address=address,
            time=item.time,
            since=item.since,
            live=live,
            words=frozenset(fragment.words),
            caller_words=frozenset(fragment.caller_words),
            homes=fragment.homes,
            contexts=self._contexts(fragment) if live else frozenset(),
            connection=fragment.connection,
            chain=chain,
            generation=item.generation if live else item.generation_examined,
        )
        noted: Sighting | _Unclear = sighting
        if chain is None or not chain.whole:
            noted = _Unclear(sighting, data, fragment, state.start_pc)
            self._unclear.append(noted)
            if len(self._unclear) > _UNCLEAR:
                self._unclear.popleft().data = b""
        for word in {fragment.connection, *fragment.homes}:
            if word > _LOWEST:
                self._index(word, noted)
        return sighting

    def _contexts(self, fragment: Fragment) -> frozenset[tuple[int, int]]:
        found: set[tuple[int, int]] = set()
        for home in fragment.homes:
            if home > _LOWEST and not home % 8 and not home >> 47:
                with suppress(DecodeError):
                    context = self._context_of(home)
                    if context:
                        found.add((home, context))
        return frozenset(found)

    def _index(self, word: int, item: Sighting | _Unclear) -> None:
        known = self._sightings.pop(word, None)
        if known is None:
            if len(self._sightings) >= _KEPT:
                del self._sightings[next(iter(self._sightings))]
            known = deque(maxlen=_SIGHTINGS_A_WORD)
        known.append(item)
        self._sightings[word] = known

    def sightings_of(self, connection: int, transport_request: int) -> list[Sighting]:
        """The calls that had to do with a connection, or with a request; oldest first."""
        found: dict[int, Sighting | _Unclear] = {}
        for word in (connection, transport_request):
            for item in self._sightings.get(word, ()):
                found[id(item)] = item
        sightings: list[Sighting] = []
        for item in found.values():
            if isinstance(item, _Unclear):
                chain = self.residue.follow(item.data, item.fragment, item.entry) if item.data else None
                sightings.append(replace(item.sighting, chain=chain))
            else:
                sightings.append(item)
        sightings.sort(key=lambda sighting: sighting.time)
        return sightings
