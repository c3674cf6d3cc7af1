"""A burst of tracepoints, run by the guardian: set, count, take out, prove that nothing is left.

Law: after each hit the target is told to go on before anything else is done with what was recorded. The first limit
that is reached ends it: hits, seconds, or what its stops took from the target. Of a hit that does not meet its
condition nobody is told: so whether the target stands is looked at every millisecond.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from leaktui.engines.delve import traced
from leaktui.engines.delve.channel import ChannelClosed
from leaktui.engines.delve.rpc import DelveGone, DelveRefused
from leaktui.errors import DecodeError, LeaktuiError
from leaktui.wire.delve.framing import decode_answer
from leaktui.wire.delve.shapes import as_object
from leaktui.wire.delve.states import decode_breakpoint

if TYPE_CHECKING:
    from leaktui.engines.delve.debugger import Debugger
    from leaktui.engines.delve.guardian import Guardian

_STEP_SECONDS = 0.001
_LOOK_AFTER_SECONDS = 0.05
_TELL_SECONDS = 0.25
_RETURN = (0xC3, 0xC2)
_MOST_PLACES = 200
"""Breakpoints for one tracepoint: an inlined function has one wherever it is called. The standby knows them all."""

_EXITED = b'"exited":true'
_NO_ERROR = b'"error":null}'
_MOST_ERRORS = 3
"""Conditions that cannot be evaluated, before it is given up. One may be: a nil pointer in the way."""


def run_burst(guardian: Guardian, order: dict[str, Any]) -> None:
    """Carry out *order*; hits go to leaktui as they come. Raises as `Debugger.halt`, and ChannelClosed."""
    debugger = guardian.debugger
    channel = guardian.channel
    stops = Stops(debugger.pid)
    numbers, not_set = _set(guardian, debugger, order["points"], stops)
    began = time.monotonic()
    head = {"event": "armed", "numbers": numbers, "not_set": not_set}
    channel.post(head | stops.told() | {"seconds": 0.0})
    ended, reason = ("", "") if numbers else ("nothing", "")
    try:
        if numbers:
            ended, reason = _count(guardian, debugger, order, stops, began, numbers)
    except DelveGone:
        # Before anything else: whoever comes by a breakpoint now dies.
        if guardian.code is not None:
            guardian.code.restore()
        raise
    finally:
        if not debugger.lost:
            _unset(guardian, debugger, stops)
    seconds = time.monotonic() - began
    channel.post({"event": "over", "ended": ended, "reason": reason, "seconds": seconds} | stops.told())


class Stops:
    """What the stops of a burst have taken from the target, in seconds: halted by us, and seen standing by samples."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.total = 0.0
        self.longest = 0.0
        self._current = 0.0
        self._mark = time.monotonic()

    def halt_over(self, since: float) -> None:
        """We had it halted since then; now it runs."""
        now = time.monotonic()
        took, self._mark, self._current = now - since, now, 0.0
        self.total += took
        self.longest = max(self.longest, took)

    def sample(self, now: float) -> None:
        """Look whether it stands: if so, it has since the last look."""
        passed, self._mark = now - self._mark, now
        if traced.state_of(self._pid) == traced.TRACED:
            self.total += passed
            self._current += passed
            self.longest = max(self.longest, self._current)
        else:
            self._current = 0.0

    def told(self) -> dict[str, float]:
        """For a message."""
        return {"stops_ms": self.total * 1000, "longest_ms": self.longest * 1000}


def _set(
    guardian: Guardian, debugger: Debugger, points: list[dict[str, Any]], stops: Stops
) -> tuple[dict[int, int], list[tuple[int, str]]]:
    """Set the tracepoints; which of them (index) has which number, and which could not be set, and why."""
    numbers: dict[int, int] = {}
    not_set: list[tuple[int, str]] = []
    code = guardian.code
    assert code is not None
    since = time.monotonic()
    debugger.halt()
    try:
        for index, point in enumerate(points):
            wanted = dict(point["breakpoint"])
            try:
                if point["returns"]:
                    wanted["addrs"] = _returns_of(guardian, debugger, str(wanted.pop("functionName")))
                result = debugger.call("CreateBreakpoint", Breakpoint=wanted)
                made = decode_breakpoint(
                    as_object(as_object(result, "answer").get("Breakpoint"), "breakpoint")
                )
            except DelveRefused as error:
                not_set.append((index, str(error.args[0])))
                continue
            if len(made.addresses) > _MOST_PLACES:
                debugger.clear([made])
                not_set.append(
                    (index, f"it is inlined at {len(made.addresses):,} places: choose one that calls it")
                )
                continue
            numbers[made.number] = index
            code.remember(made.addresses)
        guardian.tell_standby()
    finally:
        debugger.resume()
        stops.halt_over(since)
    return numbers, not_set


def _returns_of(guardian: Guardian, debugger: Debugger, function: str) -> list[int]:
    """Where *function* returns: Delve also names its calls of deferreturn. Raises DelveRefused."""
    found = as_object(debugger.call("FunctionReturnLocations", FnName=function), "answer").get("Addrs") or []
    code = guardian.code
    assert code is not None
    code.remember(found)
    returns = [address for address in found if code.expected.get(address) in _RETURN]
    if not returns:
        raise DelveRefused(f"no return of {function} was found: it may be inlined everywhere")
    return returns


def _count(
    guardian: Guardian,
    debugger: Debugger,
    order: dict[str, Any],
    stops: Stops,
    began: float,
    numbers: dict[int, int],
) -> tuple[str, str]:
    """Pass hits on until a limit is reached; why it ended, and Delve's reason where it could not go on."""
    channel = guardian.channel
    most_hits, seconds = int(order["most_hits"]), float(order["seconds"])
    most_stops = float(order["most_stops_ms"]) / 1000
    hits = errors = 0
    told = looked = began
    while True:
        line = debugger.stopped(_STEP_SECONDS)
        now = time.monotonic()
        stops.sample(now)
        if line is not None:
            if _EXITED in line:
                debugger.refuse_exited(line)
            failed = not line.endswith(_NO_ERROR)
            errors += failed
            hits += not failed
            last = hits >= most_hits or (errors >= _MOST_ERRORS and not hits)
            if not last:
                debugger.resume()
            if not failed:
                channel.post({"event": "hit", "seconds": now - began} | stops.told(), [line])
                told = now
            if last:
                return ("hits", "") if hits else ("error", decode_answer(line).error)
        elif now - looked >= _LOOK_AFTER_SECONDS:
            looked = now
            guardian.look_after()
        if stops.total >= most_stops:
            return "stops", ""
        if now - began >= seconds:
            return "seconds", ""
        if now - told >= _TELL_SECONDS:
            told = now
            channel.post({"event": "going", "seconds": now - began} | stops.told())
        channel.flush()
        message = channel.receive(0.0)
        if message is not None and message.head["do"] in ("stop", "end"):
            return "asked", ""


def _unset(guardian: Guardian, debugger: Debugger, stops: Stops) -> None:
    """Take all out and prove it; the target runs on. Raises DecodeError when something stays."""
    since = time.monotonic()
    code = guardian.code
    line = debugger.halt()
    try:
        debugger.clear()
        left = debugger.breakpoints()
        if left:
            debugger.clear(left)
            left = debugger.breakpoints()
        changed = code.changed() if code is not None else []
        debugger.drain()
    finally:
        with suppress(LeaktuiError):
            debugger.resume()
        stops.halt_over(since)
    if line is not None and line.endswith(_NO_ERROR):
        with suppress(ChannelClosed):
            guardian.channel.post({"event": "hit", "seconds": -1.0} | stops.told(), [line])
    if left or changed:
        raise DecodeError("Delve left breakpoints in the target that it was told to take out")
    if code is not None:
        code.forget()
        guardian.tell_standby()
