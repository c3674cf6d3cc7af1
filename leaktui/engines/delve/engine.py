"""The `delve` engine: values in frames, deferred calls, panics, any expression, and counted bursts of tracepoints.

Law: nothing is attached but by an order that says yes to what it costs, and by nobody but the guardian. No look stops
the target for longer than the budget where it can be split; no breakpoint is in it but during a burst that was said
yes to. After some idle seconds it is let go: attaching again costs a stop of a third of a second and more, but a
debugger that stays stands in the way of probes and of others, takes every signal and thread of the target first, and
is one that can be killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from leaktui.engines.delve.costs import ATTACH_COST, BREAKPOINT_COST
from leaktui.engines.protocol import (
    DEBUGGING,
    EvaluationSeen,
    Fact,
    GoroutinesSeen,
    InspectionSeen,
    Refused,
    Request,
    TracepointsSeen,
    Want,
)
from leaktui.errors import EngineError, EngineUnavailable, LeaktuiError, TargetGone
from leaktui.model.capability import Capability, Impact
from leaktui.model.target import Target
from leaktui.text import printable

if TYPE_CHECKING:
    from leaktui.engines.delve.hold import Hold

STOP_BUDGET_MS = 100.0
"""No single stop after attaching is to last longer than this: a look that would is split up. Only one call of Delve's
that takes longer by itself goes past it, and the next of its sort is asked for less."""

IDLE_SECONDS = 20.0
"""Delve lets the target go when nothing was asked for so long."""

_CLOSE_SECONDS = 16.0


class DelveEngine:
    """Delve on process *pid*, or through somebody else's headless server at *address* (`host:port`, `unix:PATH`)."""

    name = "delve"

    def __init__(
        self,
        *,
        pid: int | None = None,
        address: str | None = None,
        read_only: bool = False,
        idle_seconds: float = IDLE_SECONDS,
        stop_budget_ms: float = STOP_BUDGET_MS,
        dlv: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*read_only* forbids everything; *dlv* is run instead of the one that is found. Raises UsageError."""
        from leaktui.engines.delve.address import parse_address

        self._pid = pid
        self._address = parse_address(address) if address is not None else None
        self._read_only = read_only
        self._idle_seconds = idle_seconds
        self._budget = stop_budget_ms
        self._dlv = dlv
        self._clock = clock
        self._hold: Hold | None = None
        self._busy = threading.Lock()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.longest_stop_ms = 0.0
        """The longest single stop there was, without attaching, in milliseconds."""

    # --- what it can do ---

    def probe(self, target: Target) -> Capability:
        """Whether Delve could be used: files are read and `dlv version` is run, nothing is attached."""
        if self._read_only:
            return self._unusable(
                "--read-only forbids a debugger",
                "leave --read-only away; you are asked before anything is done",
            )
        if self._address is not None:
            return Capability(
                self.name,
                usable=True,
                impact=Impact.PAUSES,
                gives=(Want.INSPECTION.value, Want.EVALUATION.value),
                reason=f"through the server at {printable(str(self._address))}, on your yes; it is only looked at",
            )
        if self._pid is None:
            return self._unusable(
                "only a URL was given, so the process is not known here",
                "run leaktui on the machine of the process with --pid, or name a headless server with --dlv",
            )
        from leaktui.engines.delve.finding import mismatch_of
        from leaktui.engines.delve.fitness import check_fitness

        try:
            dlv = check_fitness(self._pid)
        except LeaktuiError as error:
            return self._unusable(str(error.args[0]), error.remedy)
        self._dlv = self._dlv or dlv.path
        return Capability(
            self.name,
            usable=True,
            impact=Impact.PAUSES,
            gives=tuple(want.value for want in sorted(DEBUGGING, key=lambda want: want.value)),
            reason=mismatch_of(dlv, target.go_version) or f"{dlv}, attached only on your yes",
        )

    # --- orders ---

    def capture(self, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        """Carry out an inspection, an evaluation or a burst; without its consent it is Refused, with the cost.

        Raises TargetGone, and EngineError or DecodeError when Delve fails: the target is free then.
        """
        wanted = request.wants & (DEBUGGING | {Want.GOROUTINES})
        if not wanted or (self._pid is None and self._address is None):
            return
        for want in sorted(wanted, key=lambda item: item.value):
            refusal = self._refuse(want, request)
            if refusal is not None:
                yield refusal
                continue
            with self._busy:
                try:
                    yield from self._facts(want, request, cancel)
                except TargetGone:
                    self._let_go()
                    raise
                except EngineUnavailable as error:
                    yield Refused(want, str(error.args[0]), error.remedy)
                except LeaktuiError:
                    self._let_go()
                    raise

    def _refuse(self, want: Want, request: Request) -> Refused | None:
        if self._read_only:
            return Refused(want, "--read-only forbids a debugger", "leave --read-only away")
        if want is Want.TRACEPOINTS:
            if self._address is not None:
                return Refused(
                    want,
                    "no breakpoints are set through somebody else's server",
                    "run leaktui on the machine of the process with --pid",
                )
            if not request.allow_breakpoints:
                return Refused(want, BREAKPOINT_COST, "say yes to it (--allow breakpoints)")
            return None
        if not request.allow_pauses:
            return Refused(want, ATTACH_COST, "say yes to it (--allow pause)")
        return None

    def _facts(self, want: Want, request: Request, cancel: threading.Event) -> Iterator[Fact]:
        hold = self._held(cancel)
        attach_stop_ms = hold.take_attach_stop()
        try:
            if want is Want.TRACEPOINTS:
                assert request.plan is not None
                for run in hold.trace(request.plan, attach_stop_ms, cancel):
                    yield TracepointsSeen(run)
            elif want is Want.INSPECTION:
                inspection = hold.inspect(request.subject, max(1, request.depth), cancel)
                yield InspectionSeen(replace(inspection, attach_stop_ms=attach_stop_ms))
            elif want is Want.EVALUATION:
                evaluation = hold.evaluate(request.expression, request.subject, max(0, request.frame_index))
                yield EvaluationSeen(replace(evaluation, attach_stop_ms=attach_stop_ms))
            else:
                goroutines, stop_ms, whole = hold.list_goroutines(cancel)
                yield GoroutinesSeen(tuple(goroutines), stop_ms + attach_stop_ms, truncated=not whole)
        finally:
            self.longest_stop_ms = max(self.longest_stop_ms, hold.longest_stop_ms)

    # --- attached or not ---

    def _held(self, cancel: threading.Event) -> Hold:
        """Delve attached, as it is or from now on. Raises EngineUnavailable, EngineError, TargetGone."""
        from leaktui.engines.delve.hold import Hold

        with self._lock:
            hold = self._hold
        if hold is not None:
            if hold.alive:
                return hold
            self._let_go()
        if self._closed.is_set():
            raise EngineUnavailable("the delve engine was closed")
        made = Hold(
            pid=self._pid,
            address=self._address,
            dlv=self._dlv,
            idle_seconds=self._idle_seconds,
            budget_ms=self._budget,
            clock=self._clock,
            give_way=self.give_way,
        )
        with self._lock:
            self._hold = made
        try:
            made.attach()
        except BaseException:
            self._let_go()
            raise
        if self._closed.is_set():
            self._let_go()
            raise EngineUnavailable("the delve engine was closed")
        return made

    def give_way(self) -> bool:
        """Let the target go for another engine, unless something is under way; whether it is free now."""
        if not self._busy.acquire(blocking=False):
            return False
        try:
            self._let_go()
            return True
        finally:
            self._busy.release()

    @property
    def attached(self) -> bool:
        """Whether Delve traces the target now."""
        with self._lock:
            return self._hold is not None and self._hold.alive

    @property
    def pids(self) -> tuple[int, int, int]:
        """The guardian, its standby and dlv, where there are any; else 0."""
        with self._lock:
            return self._hold.pids if self._hold is not None else (0, 0, 0)

    def _let_go(self) -> None:
        with self._lock:
            hold, self._hold = self._hold, None
        if hold is not None:
            hold.close()

    def close(self) -> None:
        """Let the target go, in order. Safe to call again, from any thread."""
        self._closed.set()
        with self._lock:
            hold = self._hold
        if hold is not None:
            hold.close()
        # Whoever is under way is told by its connection.
        if self._busy.acquire(timeout=_CLOSE_SECONDS):
            with suppress(EngineError):
                self._let_go()
            self._busy.release()

    def _unusable(self, reason: str, remedy: str) -> Capability:
        return Capability(self.name, usable=False, impact=Impact.PAUSES, reason=reason, remedy=remedy)
