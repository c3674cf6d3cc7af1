"""Goroutine dumps: `debug=2`, runtime.Stack, the text of a crash or of SIGQUIT → GoroutineDump.

Law: text in the shape of runtime/traceback.go (goroutineheader, traceback2, printcreatedby1,
printAncestorTraceback; Go 1.22 to 1.27) and nothing else is believed; what stands before the first
goroutine, or between two, is skipped. Goroutines whose stacks differ only in argument values share one
Stack object: a dump of 100,000 goroutines has some hundred different stacks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from leaktui.errors import DecodeError
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import Ancestor, Goroutine, Labels
from leaktui.text import printable
from leaktui.wire.label_text import parse_label_text
from leaktui.wire.payload import name_payload
from leaktui.wire.runtime_frames import hide_runtime_frames

DUMP_LIMIT_BYTES = 64 << 20
"""Where pprof cuts a dump off (writeGoroutineStacks in runtime/pprof/pprof.go)."""

MAX_GOROUTINES = 2_000_000
"""Goroutines read from one dump; the rest is left out and the dump is called truncated."""

_HEADER = re.compile(rb"^goroutine \d+ (?:gp=\S+ m=[^\[\n]*)?\[", re.MULTILINE)
_HEADER_LINE = re.compile(rb"goroutine (\d{1,20}) (?:gp=\S+ m=[^\[]*)?(\[.*):$")

# The argument values of a call that is not inlined, at the end of its line: hexadecimal numbers,
# aggregates, or `_` for what the frame does not tell (printArgs). `(...)` stays: it says inlined.
_ARGUMENTS = re.compile(rb"\([0-9{_][^\n]*\)\n")

_LOCATION = re.compile(rb"\t(.*?):(\d{1,9})(?: \+0x[0-9a-f]+)?(?: (?:fp|pc)=0x.*)?$")
_ELIDED = re.compile(rb"\.\.\.(?:(\d{1,9})|additional) frames elided\.\.\.$")
_FOREIGN = re.compile(rb"non-Go function at pc=(0x[0-9a-f]{1,16})$")
_CREATED_BY = b"created by "
_IN_GOROUTINE = b" in goroutine "
_ORIGIN = b"[originating from goroutine "


@dataclass(frozen=True, slots=True)
class GoroutineDump:
    """The goroutines of a dump, in its order. `truncated` says that the text broke off and the
    goroutine it broke off in, and those after it, are missing."""

    goroutines: tuple[Goroutine, ...]
    truncated: bool = False


class _State(NamedTuple):
    """What a goroutine's first line says besides its number."""

    wait_reason: str
    minutes: int | None
    locked: bool
    leaked: bool
    labels: Labels


class _Trace(NamedTuple):
    """Frames, and how many Go left out of them (-1: it does not say)."""

    stack: Stack
    elided: int


def decode_goroutine_dump(data: bytes) -> GoroutineDump:
    """The goroutines in *data*, whatever text surrounds them.

    Raises DecodeError saying what *data* looks like when it holds none.
    """
    first = _HEADER.search(data)
    if first is None:
        raise DecodeError(f"{name_payload(data)}, not a goroutine dump")
    truncated = len(data) >= DUMP_LIMIT_BYTES or not data.endswith(b"\n")
    blocks = _ARGUMENTS.sub(b"(\n", data[first.start() :]).removesuffix(b"\n").split(b"\n\n")
    if truncated:
        blocks.pop()
    if len(blocks) > MAX_GOROUTINES:
        del blocks[MAX_GOROUTINES:]
        truncated = True
    reader = _DumpReader()
    goroutines = tuple(goroutine for block in blocks if (goroutine := reader.goroutine(block)) is not None)
    return GoroutineDump(goroutines, truncated)


class _DumpReader:
    """Reads goroutine after goroutine and remembers every text it has understood."""

    def __init__(self) -> None:
        self._states: dict[bytes, _State] = {}
        self._traces: dict[bytes, _Trace] = {}
        self._stacks: dict[Stack, Stack] = {}
        self._creators: dict[bytes, Frame] = {}
        self._frames: dict[tuple[bytes, bytes], Frame] = {}

    def goroutine(self, block: bytes) -> Goroutine | None:
        """The goroutine printed in *block*, None when there is none."""
        head, _, body = block.partition(b"\n")
        match = _HEADER_LINE.match(head)
        if match is None:
            # Other output got between two goroutines: begin where the header is.
            found = _HEADER.search(block)
            return self.goroutine(block[found.start() :]) if found and found.start() else None
        state = self._states.get(match[2])
        if state is None:
            state = self._states[match[2]] = _read_state(match[2])
        ancestors: tuple[Ancestor, ...] = ()
        if _ORIGIN in body:
            body, *origins = body.split(_ORIGIN)
            ancestors = tuple(self._ancestor(origin) for origin in origins)
        trace, created_by, parent = self._trace_and_creator(body)
        return Goroutine(
            int(match[1]),
            state.wait_reason,
            trace.stack,
            state.minutes,
            created_by,
            parent,
            state.labels,
            state.locked,
            state.leaked,
            trace.elided,
            ancestors,
        )

    def _ancestor(self, text: bytes) -> Ancestor:
        goid, _, body = text.partition(b"]:\n")
        trace, created_by, _ = self._trace_and_creator(body)
        # An ancestor's calls are all printed `(...)`, inlined or not (printAncestorTracebackFuncInfo).
        stack = tuple(replace(frame, inlined=False) for frame in trace.stack)
        return Ancestor(int(goid) if goid.isdigit() and len(goid) <= 20 else 0, stack, created_by)

    def _trace_and_creator(self, body: bytes) -> tuple[_Trace, Frame | None, int | None]:
        if body.startswith(_CREATED_BY):
            frames, tail = b"", body[len(_CREATED_BY) :]
        else:
            frames, mark, tail = body.rpartition(b"\n" + _CREATED_BY)
            if not mark:
                frames, tail = body, b""
        trace = self._traces.get(frames)
        if trace is None:
            trace = self._traces[frames] = self._read_trace(frames)
        if not tail:
            return trace, None, None
        return trace, *self._creator(tail)

    def _creator(self, text: bytes) -> tuple[Frame | None, int | None]:
        function, _, location = text.partition(b"\n")
        function, _, parent = function.partition(_IN_GOROUTINE)
        location = location.partition(b"\n")[0]
        key = function + b"\n" + location
        creator = self._creators.get(key)
        if creator is None:
            # Unlike a call's line this one has no parentheses; give it some that say nothing.
            frame = self._frame(function + b"(", location)
            if frame is None:
                return None, None
            creator = self._creators[key] = frame
        return creator, int(parent) if parent.isdigit() and len(parent) <= 20 else None

    def _read_trace(self, text: bytes) -> _Trace:
        frames: list[Frame] = []
        elided = 0
        lines = text.split(b"\n")
        for index, line in enumerate(lines):
            if line.startswith(b"\t") or not line:
                continue
            if match := _ELIDED.match(line):
                elided = int(match[1]) if match[1] else -1
            elif match := _FOREIGN.match(line):
                address = int(match[1], 16)
                frames.append(Frame(f"{address:#x}", pc=address))
            else:
                frame = self._frame(line, lines[index + 1] if index + 1 < len(lines) else b"")
                if frame is not None:
                    frames.append(frame)
        stack = hide_runtime_frames(tuple(frames))
        if stack and stack[-1].inlined:
            # `go f()` with f inlined into the wrapper the compiler makes for it, which is not shown: for
            # all one can see f is the outermost call. Profiles have it so.
            stack = (*stack[:-1], replace(stack[-1], inlined=False))
        return _Trace(self._stacks.setdefault(stack, stack), elided)

    def _frame(self, call: bytes, location: bytes) -> Frame | None:
        """The frame printed as *call* and *location*; None when they are not two lines of a frame."""
        known = self._frames.get((call, location))
        if known is not None:
            return known
        if not location.startswith(b"\t"):
            return None
        match = _LOCATION.match(location)
        file, line = (match[1], int(match[2])) if match else (b"", 0)
        inlined = call.endswith(b"(...)")
        for end in (b"(...)", b"()", b"("):
            if call.endswith(end):
                call_name = call[: -len(end)]
                break
        else:
            call_name = call  # C, as a cgo symbolizer names it
        frame = Frame(_text(call_name), _text(file), line, inlined=inlined)
        self._frames[call, location] = frame
        return frame


def _text(raw: bytes) -> str:
    return printable(raw.decode("utf-8", "replace"))


def _read_state(text: bytes) -> _State:
    """`[select, 3 minutes, locked to thread]`, with labels inside (Go 1.26) or behind (1.27)."""
    header = text.decode("utf-8", "replace")
    inside, labels_mark, label_text = header.partition(" labels:{")
    if not labels_mark:
        inside, _, label_text = header.partition("] {")
    status, *remarks = inside.strip("[]").split(", ")
    minutes = None
    locked = False
    for remark in remarks:
        number, _, unit = remark.partition(" ")
        if unit == "minutes" and number.isdecimal() and len(number) < 10:
            minutes = int(number)
        elif remark == "locked to thread":
            locked = True
    status = status.replace(" (scan)", "")
    leaked = status.endswith(" (leaked)") or " (leaked) " in status
    labels = parse_label_text("{" + label_text) if label_text else ()
    return _State(printable(status.replace(" (leaked)", "")), minutes, locked, leaked, labels)
