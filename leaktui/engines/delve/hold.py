"""Delve attached to a target: looks and bursts, each within its budget.

Law: one thread. A look that takes longer than the budget is split into several, between which the target runs; what
was seen in the first counts only as long as the stack is still the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from leaktui.engines.delve import looks
from leaktui.engines.delve.address import Address
from leaktui.engines.delve.finding import find_dlv
from leaktui.engines.delve.fitness import refuse_stopped
from leaktui.engines.delve.guarded import GuardedDelve, Look
from leaktui.engines.delve.looks import Frames
from leaktui.engines.delve.rpc import DelveRefused
from leaktui.engines.delve.tracing import Recording, order_of
from leaktui.engines.delve.whereabouts import Whereabouts
from leaktui.engines.proc_target import tracer_of
from leaktui.engines.turn import Turn
from leaktui.errors import DecodeError, EngineUnavailable, LeaktuiError
from leaktui.model.goroutine import Goroutine
from leaktui.model.inspection import Evaluation, Inspection
from leaktui.model.tracepoint import TracepointPlan, TracepointRun
from leaktui.model.wait import Panic
from leaktui.text import printable

_FIRST_PAGE, _PAGE = 50, 300
"""Goroutines listed in one stop: a few at first, and more as the machine turns out to be quick, about 0.1 ms each."""

_BREATH_SECONDS = 0.05
"""What the target runs for between two stops of one look or listing."""

_MOST_LOOKS = 12
_SLOW_SHARE = 0.6
_HAS_MOVED = "it has moved on meanwhile"
_TELL_SECONDS = 0.2


class Hold:
    """`attach` it; `close` lets the target go."""

    def __init__(
        self,
        *,
        pid: int | None,
        address: Address | None,
        dlv: str | None,
        idle_seconds: float,
        budget_ms: float,
        clock: Callable[[], float],
        give_way: Callable[[], bool],
    ) -> None:
        """Start the guardian. Raises EngineUnavailable, TargetGone."""
        self._pid = pid
        self._budget = budget_ms
        self._clock = clock
        self._turn: Turn | None = None
        self._places: Whereabouts | None = None
        self._wait_reasons: dict[int, str] = {}
        self._load = 0
        self._attach_stop = 0.0
        self.longest_stop_ms = 0.0
        ticks = 0
        if address is None:
            assert pid is not None
            ticks = refuse_stopped(pid)
            dlv = dlv or find_dlv().path
            tracer = tracer_of(pid)
            if tracer is not None:
                raise EngineUnavailable(
                    f"process {pid} is traced by process {tracer.pid} ({printable(tracer.name)})",
                    remedy="end that session first: a process has one debugger at a time",
                )
            self._turn = Turn(pid, "delve", give_way)
        try:
            self._delve = GuardedDelve(dlv or "", pid or 0, ticks, address=address, idle_seconds=idle_seconds)
        except BaseException:
            self._release()
            raise

    def attach(self) -> None:
        """Attach, or connect, and read the runtime's words for waits. Raises as `GuardedDelve.attach`."""
        words = looks.evaluate("runtime.waitReasonStrings", 0, 0, 0)
        look = self._delve.attach([words])
        self._attach_stop = look.stop_ms
        if look.lines:
            self._wait_reasons = looks.read_wait_reasons(look.lines[0])

    @property
    def alive(self) -> bool:
        """Whether it still holds the target."""
        return self._delve.alive

    @property
    def pids(self) -> tuple[int, int, int]:
        """The process ids of the guardian, its standby and dlv; 0 for one there is not."""
        return self._delve.guardian_pid, self._delve.standby_pid, self._delve.dlv_pid

    def take_attach_stop(self) -> float:
        """What attaching stopped the target for, in milliseconds; told once."""
        stop, self._attach_stop = self._attach_stop, 0.0
        return stop

    def close(self) -> None:
        """Let go and wait for it. Safe to call again, from any thread."""
        self._delve.close()
        self._release()

    def _release(self) -> None:
        turn, self._turn = self._turn, None
        places, self._places = self._places, None
        if turn is not None:
            turn.release()
        if places is not None:
            with suppress(OSError):
                places.close()

    # --- looks ---

    def _look(self, calls: list[looks.Call], goid: int = 0) -> Look:
        look = self._delve.look(calls, self._budget, goid=goid)
        self.longest_stop_ms = max(self.longest_stop_ms, look.stop_ms)
        return look

    def inspect(self, goid: int, depth: int, cancel: threading.Event) -> Inspection:
        """The frames of goroutine *goid* with their values. Raises EngineError, TargetGone, DecodeError."""
        frames = Frames()
        stops, reason, gone = 0.0, "", False
        panics: tuple[Panic, ...] = ()
        for number in range(_MOST_LOOKS):
            place = self._place_of(goid, cancel)
            if place is None:
                gone = True
                break
            calls = [looks.list_one(place), looks.bare_stack(goid, depth)]
            if number == 0:
                calls.append(looks.panics(goid))
            firsts = range(frames.filled, depth, looks.FRAMES_A_CALL)
            calls += [looks.values(goid, first, depth, self._load) for first in firsts]
            look = self._look(calls, goid)
            stops += look.stop_ms
            listed = self._listed(look, goid)
            if listed is None:
                continue  # it ended, or another one has its place: look where it is now
            reason = reason or listed.wait_reason
            lines = look.lines[1:]
            if not lines:
                continue
            if not frames.begin(looks.read_stack(lines[0])):
                frames.leave_out(_HAS_MOVED)
                break
            rest = lines[1:]
            if number == 0 and rest:
                panics, rest = looks.read_panics(rest[0]), rest[1:]
            self._fill(frames, rest)
            if frames.complete or cancel.is_set():
                break
            self._lighten(look)
            time.sleep(_BREATH_SECONDS)
        if frames.frames and self._places is not None:
            with suppress(DecodeError):
                frames.add_open_coded(self._places.open_coded(goid))
        if not frames.complete:
            frames.leave_out("its values would have taken too long")
        return Inspection(
            goid,
            self._clock(),
            wait_reason=reason,
            frames=tuple(frames.frames),
            panics=panics,
            depth=depth,
            gone=gone and not frames.frames,
            stop_ms=stops,
        )

    def _fill(self, frames: Frames, lines: list[bytes]) -> None:
        for line in lines:
            if frames.complete:
                return
            try:
                frames.fill(looks.read_stack(line))
            except DelveRefused as error:
                frames.leave_out(printable(str(error.args[0]), 200))

    def evaluate(self, expression: str, goid: int, frame: int) -> Evaluation:
        """What *expression* gives in a frame of goroutine *goid* (0: in none). Raises as `inspect`."""
        calls: list[looks.Call] = []
        stops = 0.0
        for _ in range(3):
            calls = [looks.evaluate(expression, goid, frame, min(self._load, 1))]
            if goid:
                place = self._place_of(goid, threading.Event())
                if place is None:
                    break
                calls.insert(0, looks.list_one(place))
            look = self._look(calls, goid)
            stops += look.stop_ms
            if goid and self._listed(look, goid) is None:
                continue
            answers = look.lines[1:] if goid else look.lines
            if not answers:
                continue
            try:
                value = looks.read_value(answers[0])
            except DelveRefused as error:
                return Evaluation(
                    expression, goid, frame, self._clock(), error=str(error.args[0]), stop_ms=stops
                )
            self._lighten(look)
            return Evaluation(expression, goid, frame, self._clock(), value, stop_ms=stops)
        return Evaluation(
            expression, goid, frame, self._clock(), error=f"goroutine {goid} has ended", stop_ms=stops
        )

    def list_goroutines(self, cancel: threading.Event) -> tuple[list[Goroutine], float, bool]:
        """All goroutines, a page a stop; what the stops took in all (milliseconds), and whether it is all.

        They come and go between the pages. Raises as `inspect`.
        """
        found: dict[int, Goroutine] = {}
        start, count, stops = 0, _FIRST_PAGE, 0.0
        while start >= 0 and not cancel.is_set():
            look = self._look([looks.list_many(start, count)])
            stops += look.stop_ms
            page, start = looks.read_page(look.lines[0], self._wait_reasons)
            found.update((goroutine.goid, goroutine) for goroutine in page if goroutine.goid)
            share = look.stop_ms / self._budget
            if share > _SLOW_SHARE:
                count = max(20, count // 2)
            elif share < _SLOW_SHARE / 2:
                count = min(_PAGE, count * 2)
            if start >= 0:
                time.sleep(_BREATH_SECONDS)
        return list(found.values()), stops, start < 0

    def _listed(self, look: Look, goid: int) -> Goroutine | None:
        """The goroutine, where the listing that a look begins with has it."""
        if not look.lines:
            return None
        page, _ = looks.read_page(look.lines[0], self._wait_reasons)
        return next((goroutine for goroutine in page if goroutine.goid == goid), None)

    def _place_of(self, goid: int, cancel: threading.Event) -> int | None:
        """Where it stands in the runtime's list; None when it has ended."""
        if self._pid is not None:
            if self._places is None:
                with suppress(EngineUnavailable):
                    self._places = Whereabouts(self._pid, cancel)
            if self._places is not None:
                with suppress(DecodeError):
                    return self._places.find(goid)
        return self._search_place(goid, cancel)

    def _search_place(self, goid: int, cancel: threading.Event) -> int | None:
        """The same, found by listing page after page; what stands in a page is found by halves."""
        start, count = 0, _PAGE
        while start >= 0 and not cancel.is_set():
            look = self._look([looks.list_many(start, count)])
            page, following = looks.read_page(look.lines[0], self._wait_reasons)
            if any(goroutine.goid == goid for goroutine in page):
                if count == 1:
                    # The page may begin with dead ones, which are not listed; Delve passes over them.
                    return start
                count = max(1, count // 4)
                continue
            start = following
            time.sleep(_BREATH_SECONDS)
        return None

    def _lighten(self, look: Look) -> None:
        """Load less of values from now on, where a call took most of the budget by itself."""
        if max(look.took_ms, default=0.0) > _SLOW_SHARE * self._budget:
            self._load = min(self._load + 1, len(looks.LOADS) - 1)

    # --- bursts ---

    def trace(
        self, plan: TracepointPlan, attach_stop_ms: float, cancel: threading.Event
    ) -> Iterator[TracepointRun]:
        """Run *plan*; the last run has everything out of the target. Raises as `inspect`."""
        recording = Recording(plan, self._clock(), attach_stop_ms)
        told = 0.0
        broken = ""
        for message in self._delve.burst(order_of(plan), cancel):
            now = self._clock()
            event = message.head.get("event")
            if event == "armed":
                recording.arm(message.head, now)
            elif event == "hit":
                try:
                    recording.add(message.head, message.lines[0], now)
                except LeaktuiError as error:
                    broken = broken or str(error.args[0])
                    cancel.set()
            elif event == "going":
                recording.go_on(message.head, now)
            elif event == "over":
                recording.end(message.head, now)
                break
            if now - told >= _TELL_SECONDS or event == "armed":
                told = now
                yield recording.run
        if broken:
            raise DecodeError(f"{broken} (the tracepoints are out again)")
        yield recording.run
