"""Where in a program a function is called: its static call sites, found in the machine code.

Law: what is found is a direct call; calls through interfaces, function values and `go` or `defer`
statements are not seen. An inlined callee leaves no CALL, but its inline tree entry says where it was.
Scanning is left to `re`: per window of text, the bytes of a call's displacement that cannot vary are a
literal (Intel SDM vol. 2, CALL: E8 rel32, relative to the next instruction).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from leaktui.binary.executable import Executable
from leaktui.model.frame import Frame, Stack

_WINDOW = 1 << 19
_CALL_SIZE = 5
_REL32 = struct.Struct("<i")


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call of *target*. `frame` is the innermost caller outside what was skipped; `pc` is the call's address.

    `frames` are all the calls at `pc`, innermost first; `via` is the function that `frame` calls there:
    *target*, or what contains the call to it after inlining (`os.Open` for `os.OpenFile`).
    """

    target: str
    via: str
    frame: Frame
    frames: Stack
    pc: int


def supports_call_sites(exe: Executable) -> bool:
    """Whether `find_call_sites` can read the executable's machine code."""
    return exe.machine == "amd64"


def find_call_sites(
    exe: Executable,
    targets: Iterable[str],
    *,
    skip: Callable[[Frame], bool] = lambda frame: False,
    limit: int = 1000,
) -> tuple[CallSite, ...]:
    """Call sites of the functions *targets*, ordered by address; at most *limit*.

    Frames for which *skip* is true (the standard library's, say) are passed over outwards, as far as the
    compiler inlined them; calls from nothing but such frames are left out. Empty where
    `supports_call_sites` is false.
    """
    if not supports_call_sites(exe):
        return ()
    names = sorted(set(targets))
    table = exe.pc_lines
    entries = {table.entry(index): name for name in names for index in table.find_indexes(name)}
    found: dict[tuple[str, Frame], CallSite] = {}
    for pc, target in sorted([*_iter_calls(exe, entries), *_iter_inlined(exe, names)]):
        site = _site(exe, pc, target, skip)
        if site is not None:
            found.setdefault((target, Frame(site.frame.function, site.frame.file, site.frame.line)), site)
            if len(found) >= limit:
                break
    return tuple(found.values())


def _site(exe: Executable, pc: int, target: str, skip: Callable[[Frame], bool]) -> CallSite | None:
    frames = exe.frames_at(pc, return_address=False)
    via = target
    for frame in frames:
        if not skip(frame):
            return CallSite(target, via, frame, frames, pc)
        via = frame.function
    return None


def _iter_inlined(exe: Executable, names: list[str]) -> Iterator[tuple[int, str]]:
    for name in names:
        for pc in exe.pc_lines.iter_inlined(name):
            yield pc, name


def _iter_calls(exe: Executable, entries: dict[int, str]) -> Iterator[tuple[int, str]]:
    """(address, target) of every E8 in Go's text whose displacement leads to one of *entries*."""
    if not entries:
        return
    start, end = exe.pc_lines.text_start, exe.pc_lines.text_end
    text = exe.image.read(start, end - start)
    for base in range(start, end, _WINDOW):
        last = min(base + _WINDOW, end)
        offset = base - start
        for match in _pattern(entries, base, last).finditer(text, offset, last - start + _CALL_SIZE - 1):
            address = start + match.start()
            (displacement,) = _REL32.unpack_from(text, match.start() + 1)
            target = entries.get(address + _CALL_SIZE + displacement)
            if target is not None:
                yield address, target


def _pattern(entries: Iterable[int], first: int, last: int) -> re.Pattern[bytes]:
    """Matches the CALLs between *first* and *last* that can lead to *entries*, and few others.

    Matches may overlap (any byte can be an E8), hence the look-ahead.
    """
    highs: set[int] = set()
    for entry in entries:
        low = (entry - (last + _CALL_SIZE)) >> 16
        high = (entry - (first + _CALL_SIZE)) >> 16
        highs.update(part & 0xFFFF for part in range(low, high + 1))
    by_top: dict[int, list[int]] = {}
    for part in sorted(highs):
        by_top.setdefault(part >> 8, []).append(part & 0xFF)
    choices = [
        b"[" + b"".join(b"\\x%02x" % byte for byte in thirds) + b"]\\x%02x" % top
        for top, thirds in by_top.items()
    ]
    return re.compile(rb"\xe8(?=..(?:" + b"|".join(choices) + rb"))", re.DOTALL)
