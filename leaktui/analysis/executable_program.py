"""The Program behind an executable at hand: packages from its build info, responses by its machine code.

Law: every answer is one the binary gives, stripped or not. What a function does with a response is read
from its machine code (amd64) first, because that tells paths apart; from its DWARF results where the walk
was not complete; and is unknown where neither says.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cached_property

from leaktui.analysis.program import HandOver, ResponseStep
from leaktui.binary.callsites import CallSite, find_call_sites
from leaktui.binary.executable import Executable
from leaktui.binary.flow.use import Verdict
from leaktui.binary.packages import PackageMap
from leaktui.binary.response_flow import ResponseFlow, StackUse
from leaktui.errors import LeaktuiError
from leaktui.model.frame import Frame, Stack

_MOST_CALL_SITES = 24
_MOST_FRAMES = 12
_CALL_SIZE = 5
"""Bytes of a direct call on amd64: E8 and a 32-bit displacement."""
_RESPONSE_TYPES = ("*net/http.Response", "io.ReadCloser", "net/http.Response")

_CANDIDATE_ORDER = {
    Verdict.NEVER_CLOSED: 0,
    Verdict.SOMETIMES_UNCLOSED: 1,
    Verdict.UNKNOWN: 2,
    Verdict.HANDED_OVER: 3,
    Verdict.CLOSED: 4,
}


class ExecutableProgram:
    """Answers from *executable*, whose code is loaded *bias* bytes above its link-time addresses (PIE).

    The executable is its own from now on: `close` closes it.
    """

    def __init__(self, executable: Executable, bias: int = 0) -> None:
        self._executable = executable
        self._bias = bias
        self._packages = PackageMap(executable.build, goroot=executable.goroot)
        self._steps: dict[tuple[Stack, int], tuple[ResponseStep, ...]] = {}
        self._stdlib: dict[str, bool] = {}
        self._lock = threading.Lock()

    def is_stdlib(self, function: str) -> bool:
        known = self._stdlib.get(function)
        if known is None:
            known = self._stdlib[function] = self._packages.is_stdlib(function)
        return known

    def is_main_module(self, function: str) -> bool:
        return self._packages.is_main_module(function)

    @cached_property
    def _flow(self) -> ResponseFlow | None:
        try:
            return ResponseFlow(self._executable)
        except LeaktuiError:
            return None

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        key = (stack[first:], first)
        with self._lock:
            if key not in self._steps:
                try:
                    self._steps[key] = self._follow(stack, first)
                except Exception:  # noqa: BLE001 - code that nobody has seen yet must not end a diagnosis
                    self._steps[key] = self._by_signature(stack, first)
            return self._steps[key]

    def _follow(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        steps: list[ResponseStep] = []
        physical = self._physical_frames(stack, first)
        if self._flow is not None and physical:
            uses = self._flow.hands_over([pc for _, pc in physical])
            for (start, _), use in zip(physical, uses, strict=False):
                step = self._step(start, use, stack, first)
                if step.hands_over is HandOver.UNKNOWN:
                    break
                steps.append(step)
                if step.hands_over is HandOver.NO:
                    return tuple(steps)
        after = steps[-1].index + 1 if steps else first
        return (*steps, *self._by_signature(stack, after))

    def _physical_frames(self, stack: Stack, first: int) -> list[tuple[int, int]]:
        """(index of the innermost logical frame, link-time return address) of the frames from *first* out.

        A trace gives every logical frame an address, but an inlined caller's is a mark inside the code
        inlined into it; only the innermost one's is where the call returns to. Traces and profiles hold
        the address before the return address (runtime.CallersFrames), hence the one added here.
        """
        found: list[tuple[int, int]] = []
        index = 0
        while index < len(stack) and len(found) < _MOST_FRAMES:
            pc = stack[index].pc - self._bias + 1
            try:
                frames = self._executable.frames_at(pc) if stack[index].pc else ()
            except LeaktuiError:
                frames = ()
            names = [frame.function for frame in frames]
            if not names or names != [frame.function for frame in stack[index : index + len(names)]]:
                if index >= first:
                    break
                index += 1
                continue
            if index + len(names) > first:
                found.append((index, pc))
            index += len(names)
        return found

    def _step(self, start: int, stack_use: StackUse, stack: Stack, first: int) -> ResponseStep:
        use, handed = stack_use.use, stack_use.handed_over
        if handed is None and not use.possible_results and (use.closes_body or use.defers_close):
            # Not every path could be followed, but who closes the body himself keeps it.
            handed = False
        hands_over = HandOver.UNKNOWN if handed is None else HandOver.YES if handed else HandOver.NO
        end = min(len(stack), start + len(stack_use.frames))
        if stack_use.owner is not None:
            index = start + stack_use.owner
        else:
            index = end - 1 if handed else max(start, first)
        while index < end - 1 and self.is_stdlib(stack[index].function):
            index += 1
        return ResponseStep(
            index=index,
            hands_over=hands_over,
            exits=self._user_lines(exit_.place.frame for exit_ in use.unclosed_exits),
            panics=self._user_lines(place.frame for place in use.panics),
            closes=use.complete and use.verdict is Verdict.CLOSED and not use.panics,
            replaces=use.drops_replaced_body,
            known_from="machine code",
        )

    def _user_lines(self, frames: Iterable[Frame]) -> tuple[Frame, ...]:
        """The program's own lines among *frames*, each once."""
        lines: dict[tuple[str, int], Frame] = {}
        for frame in frames:
            if not self.is_stdlib(frame.function):
                lines.setdefault((frame.file, frame.line), frame)
        return tuple(lines.values())

    def _by_signature(self, stack: Stack, after: int) -> tuple[ResponseStep, ...]:
        """Steps from the results of the functions further out, as DWARF tells them."""
        steps = []
        for index in range(after, len(stack)):
            function = stack[index].function
            if self.is_stdlib(function):
                continue
            outputs = self._executable.outputs_of(function)
            if outputs is None:
                steps.append(ResponseStep(index, HandOver.UNKNOWN))
                break
            over = any(output in _RESPONSE_TYPES for output in outputs)
            steps.append(ResponseStep(index, HandOver.YES if over else HandOver.NO, known_from="DWARF"))
            if not over:
                break
        return tuple(steps)

    def call_sites(self, functions: tuple[str, ...]) -> tuple[Frame, ...]:
        try:
            sites = find_call_sites(
                self._executable, functions, skip=lambda frame: self.is_stdlib(frame.function)
            )
        except LeaktuiError:
            return ()
        frames: dict[tuple[str, int], tuple[int, Frame]] = {}
        for site in sites:
            frame = Frame(site.frame.function, site.frame.file, site.frame.line)
            frames.setdefault((frame.file, frame.line), (self._rank(site), frame))
        ordered = sorted(frames.values(), key=lambda item: (item[0], item[1].file, item[1].line))
        return tuple(frame for _, frame in ordered[:_MOST_CALL_SITES])

    def close(self) -> None:
        """Close the executable; safe to call again."""
        self._executable.close()

    def _rank(self, site: CallSite) -> int:
        """How much a call site looks like one that forgets to close, least first."""
        if self._flow is None or not site.target.startswith("net/http."):
            return _CANDIDATE_ORDER[Verdict.UNKNOWN]
        try:
            with self._lock:
                use = self._flow.use_at(site.pc + _CALL_SIZE)
        except Exception:  # noqa: BLE001 - as above
            use = None
        return _CANDIDATE_ORDER[use.verdict if use is not None else Verdict.UNKNOWN]
