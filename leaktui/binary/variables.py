"""Whose a package-level variable is: its name from the symbol table, else the package whose code mentions it.

Law: link-time addresses; amd64. A stripped executable has no variables' names, but the instructions that use one
have its address relative to themselves (Intel SDM vol. 2, RIP-relative addressing: ModRM with mod 0 and r/m 5).
Where a variable ends nothing says: of one that begins before an address it is told how far.
"""

from __future__ import annotations

import re
import struct
import threading
from bisect import bisect_right
from collections import Counter
from functools import cached_property

from leaktui.binary.executable import Executable
from leaktui.binary.mentions import iter_instructions
from leaktui.binary.x86_instruction import Memory
from leaktui.errors import DecodeError
from leaktui.text import package_of

_STT_OBJECT, _SHN_UNDEF = 1, 0
_SYMBOL = struct.Struct("<IBBHQQ")
_WINDOW = 1 << 18
_NEAR = 4096
_VERIFIED = 16
_CODE_LIMIT = 1 << 18
_REL32 = struct.Struct("<i")
_AFTER = (0, 1, 2, 4)
"""Bytes of an immediate operand after the displacement, which counts from the instruction's end."""


class VariableNames:
    """Names variables of *executable*. Keeps what it found; not thread-safe."""

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._packages: dict[int, tuple[str, int] | None] = {}

    def find_symbol(self, address: int) -> tuple[str, int] | None:
        """(name, bytes from its start) of the variable that has *address*; None where no symbol says so."""
        starts, symbols = self._symbols
        index = bisect_right(starts, address) - 1
        if index < 0:
            return None
        start, size, name = symbols[index]
        return (name, address - start) if address < start + max(size, 1) else None

    def find_package(self, address: int, cancel: threading.Event) -> tuple[str, int] | None:
        """(package, distance): whose functions mention *address*, or the nearest address before it.

        At a distance it may be another variable. None where nothing near is mentioned, or *cancel* was set.
        """
        if self._executable.machine != "amd64":
            return None
        if address not in self._packages:
            found = self._decide(self._find_users(address, cancel), address)
            if cancel.is_set():
                return None
            self._packages[address] = found
        return self._packages[address]

    def _decide(self, users: dict[int, list[int]], address: int) -> tuple[str, int] | None:
        """The package that mentions the nearest address, most often."""
        table = self._executable.pc_lines
        for target in sorted(users, reverse=True):
            places = users[target]
            if target != address:
                places = [place for place in places[:_VERIFIED] if self._is_mention(place, target)]
            names = [table.name(index) for index in map(table.index_at, places) if index is not None]
            counts = Counter(filter(None, map(package_of, names)))
            if counts:
                # Of equals the one that is not the runtime: its functions are inlined everywhere.
                best = max(counts, key=lambda name: (counts[name], name != "runtime", name))
                return best, address - target
        return None

    def _find_users(self, address: int, cancel: threading.Event) -> dict[int, list[int]]:
        """Where displacements lead to *address* or near before it, by the address they lead to."""
        table = self._executable.pc_lines
        start, end = table.text_start, table.text_end
        try:
            text = self._executable.image.read(start, end - start)
        except DecodeError:
            return {}
        found: dict[int, list[int]] = {}
        for base in range(start, end, _WINDOW):
            if cancel.is_set():
                break
            last = min(base + _WINDOW, end)
            pattern = _pattern(address, base, last)
            for match in pattern.finditer(text, base - start, min(last - start + 4, len(text))):
                place = match.start() - 2
                if place < 2 or place + 4 > len(text) or text[place - 1] & 0xC7 != 0x05:
                    continue
                target = start + place + 4 + _REL32.unpack_from(text, place)[0]
                for after in _AFTER:
                    distance = address - (target + after)
                    if distance == 0 or (0 < distance < _NEAR and distance % 8 == address % 8):
                        found.setdefault(target + after, []).append(start + place)
        return found

    def _is_mention(self, place: int, target: int) -> bool:
        """Whether the bytes at *place* are an operand that leads to *target*: so they read from the entry on."""
        table = self._executable.pc_lines
        index = table.index_at(place)
        if index is None:
            return False
        entry = table.entry(index)
        try:
            code = self._executable.image.read(entry, min(place + 16 - entry, _CODE_LIMIT))
        except DecodeError:
            return False
        for instruction in iter_instructions(code, entry):
            if instruction.address >= place:
                break
            if place < instruction.end:
                operands = (instruction.destination, instruction.source)
                return any(
                    isinstance(item, Memory) and item.base is None and item.displacement == target
                    for item in operands
                )
        return False

    @cached_property
    def _symbols(self) -> tuple[list[int], list[tuple[int, int, str]]]:
        """Starts of the variables, ascending, and (start, size, name) of each."""
        image = self._executable.image
        entries, strings = image.section_data(".symtab") or b"", image.section_data(".strtab") or b""
        found = []
        if image.word_size == 8 and image.order == "<":
            whole = len(entries) // _SYMBOL.size * _SYMBOL.size
            for name, info, _other, section, value, size in _SYMBOL.iter_unpack(entries[:whole]):
                if info & 15 == _STT_OBJECT and section != _SHN_UNDEF and value:
                    found.append((value, size, name))
        found.sort()
        symbols = []
        for value, size, name in found:
            end = strings.find(b"\0", name, name + 4096)
            symbols.append((value, size, strings[name : max(end, name)].decode("utf-8", "replace")))
        return [value for value, _, _ in symbols], symbols


def _pattern(address: int, first: int, last: int) -> re.Pattern[bytes]:
    """Matches the upper half of displacements between *first* and *last* that may lead to *address*."""
    low, high = (address - _NEAR - (last + 8)) >> 16, (address - first) >> 16
    by_top: dict[int, list[int]] = {}
    for part in range(low, high + 1):
        by_top.setdefault(part >> 8 & 0xFF, []).append(part & 0xFF)
    choices = [
        b"[" + b"".join(b"\\x%02x" % byte for byte in thirds) + b"](?=\\x%02x)" % top
        for top, thirds in by_top.items()
    ]
    return re.compile(b"|".join(choices), re.DOTALL)
