"""Goroutine profiles, which count equal stacks → GoroutineGroups.

Law: both forms, protobuf (`debug=0`) and text (`debug=1`), of both profiles, `goroutine` and
`goroutineleak`, give stacks in the shape of a goroutine dump; samples that become equal by that are one
group. Groups come in order of their count, the largest first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from leaktui.errors import DecodeError
from leaktui.model.frame import Frame, Stack
from leaktui.model.goroutine import GoroutineGroup, Labels
from leaktui.text import printable
from leaktui.wire.label_text import parse_label_text
from leaktui.wire.payload import name_payload
from leaktui.wire.profile import ProfileReader
from leaktui.wire.runtime_frames import hide_runtime_frames
from leaktui.wire.wait_reason import wait_reason_of

_KINDS = ("goroutine", "goroutineleak")


class _Shown(NamedTuple):
    """What becomes of a recorded stack."""

    stack: Stack
    wait_reason: str


class _Grouping:
    """Adds up counts by (shown stack, wait reason, labels)."""

    def __init__(self, start_lines: dict[str, int] | None = None) -> None:
        self._start_lines = start_lines
        # The recorded stack is kept beside its answer: an id is only unique while its object lives.
        self._shown: dict[int, tuple[Stack, _Shown]] = {}
        self._same: dict[_Shown, _Shown] = {}
        self._counts: dict[tuple[int, Labels], int] = {}
        self._keys: list[tuple[_Shown, Labels]] = []

    def add(self, stack: Stack, labels: Labels, count: int) -> None:
        known = self._shown.get(id(stack))
        if known is None:
            reason = wait_reason_of(stack, start_lines=self._start_lines)
            fresh = _Shown(hide_runtime_frames(stack), reason)
            # Hashing a stack is slow, and labels may make a group of every goroutine: once a stack.
            known = self._shown[id(stack)] = (stack, self._same.setdefault(fresh, fresh))
        shown = known[1]
        key = (id(shown), labels)
        if key not in self._counts:
            self._counts[key] = 0
            self._keys.append((shown, labels))
        self._counts[key] += count

    def groups(self) -> tuple[GoroutineGroup, ...]:
        groups = [
            GoroutineGroup(
                count=self._counts[id(shown), labels],
                stack=shown.stack,
                labels=labels,
                wait_reason=shown.wait_reason,
            )
            for shown, labels in self._keys
        ]
        groups.sort(key=lambda group: -group.count)
        return tuple(groups)


def decode_goroutine_groups(data: bytes, *, limit_bytes: int = 256 << 20) -> tuple[GoroutineGroup, ...]:
    """The groups of a `goroutine` or `goroutineleak` profile in protobuf form (`debug=0`).

    `wait_reason` is derived from the runtime frames, empty for goroutines that run or could run.
    Raises as profile.decode_profile does, and DecodeError for a profile of another kind.
    """
    reader = ProfileReader(data, limit_bytes=limit_bytes)
    profile = reader.profile
    column = next((at for at in map(profile.column, _KINDS) if at is not None), None)
    if column is None:
        names = ", ".join(value_type.name for value_type in profile.value_types[:8])
        raise DecodeError(f"not a goroutine profile: its columns are {names}")
    grouping = _Grouping(reader.start_lines)
    for sample in profile.samples:
        grouping.add(sample.stack, sample.labels, sample.values[column])
    return grouping.groups()


_HEADER = re.compile(rb"(goroutine|goroutineleak) profile: total \d+\n")
_ENTRY = re.compile(rb"(\d+) @(?: 0x[0-9a-f]+)*$")
_FRAME = re.compile(rb"#\t0x([0-9a-f]+)(?:\t+(.+)\+0x([0-9a-f]+)\t+(.*):(\d+))?\s*$")
_LABELS = b"# labels: "


def decode_goroutine_debug1(data: bytes) -> tuple[GoroutineGroup, ...]:
    """The groups of a `goroutine` or `goroutineleak` profile in text form (`debug=1`).

    The text hides the runtime frames at the top, so `wait_reason` is known only where the first frame
    left says it (mutexes, I/O, sleep, system calls). An entry that the text ends in is left out.
    Raises DecodeError when *data* is not such a text.
    """
    header = _HEADER.match(data)
    if header is None:
        raise DecodeError(f"{name_payload(data)}, not a goroutine profile in text form")
    grouping = _Grouping()
    reader = _TextReader()
    # Each entry ends with an empty line; what follows the last one is an entry cut short.
    for entry in data[header.end() :].split(b"\n\n")[:-1]:
        head, *rest = entry.split(b"\n")
        match = _ENTRY.match(head)
        if match is None:
            raise DecodeError("the goroutine profile is damaged", remedy="fetch it again")
        labels: Labels = ()
        if rest and rest[0].startswith(_LABELS):
            labels = parse_label_text(rest.pop(0)[len(_LABELS) :].decode("utf-8", "replace"))
        grouping.add(reader.stack(rest), labels, int(match[1]))
    return grouping.groups()


class _TextReader:
    """Stacks of a debug=1 text; equal texts give the same Stack object."""

    def __init__(self) -> None:
        self._stacks: dict[bytes, Stack] = {}

    def stack(self, lines: list[bytes]) -> Stack:
        key = b"\n".join(lines)
        stack = self._stacks.get(key)
        if stack is None:
            stack = self._stacks[key] = self._read(lines)
        return stack

    def _read(self, lines: list[bytes]) -> Stack:
        frames: list[Frame] = []
        physical = ""  # the function that occupies the machine frame we are in, and its entry address
        entry_below = None
        for line in reversed(lines):
            match = _FRAME.match(line)
            if match is None:
                raise DecodeError("the goroutine profile is damaged", remedy="fetch it again")
            pc = int(match[1], 16)
            if match[2] is None:
                frames.append(Frame(f"{pc:#x}", pc=pc))
                entry_below = None
                continue
            function = printable(match[2].decode("utf-8", "replace"))
            entry = pc - int(match[3], 16)
            # A call inlined into its caller has the caller's entry address (Frame.Entry in
            # runtime/symtab.go). The outermost frame of a run with one entry address is the real one,
            # and so is, by recursion, any other of its name.
            if entry != entry_below:
                physical, entry_below = function, entry
            file = printable(match[4].decode("utf-8", "replace"))
            frames.append(Frame(function, file, int(match[5]), inlined=function != physical))
        frames.reverse()
        return tuple(frames)
