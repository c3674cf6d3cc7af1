"""An Executable as the flow analysis reads it: bytes after relocation, functions, inlined frames.

Law: link-time addresses throughout; nothing is read from a process.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from leaktui.binary.elf import ElfImage
from leaktui.binary.pclntab import Function
from leaktui.errors import DecodeError
from leaktui.model.frame import Frame

if TYPE_CHECKING:
    from leaktui.binary.executable import Executable

_DT_RELA, _DT_RELASZ = 7, 8
_RELA_SIZE = 24


class ExecutableCode:
    """The CodeReader of an Executable."""

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._image: ElfImage = executable.image

    def read(self, address: int, size: int) -> bytes:
        data = self._image.read(address, size)
        if not self._relocated or size > 4096 or not self._has_relocations(address, size):
            return data
        patched = bytearray(data)
        for at in range(-address % 8, size - 7, 8):
            value = self._relocated.get(address + at)
            if value is not None:
                patched[at : at + 8] = (value & (1 << 64) - 1).to_bytes(8, "little")
        return bytes(patched)

    def read_constant(self, address: int, size: int) -> bytes:
        segment = self._image.find_segment(address)
        if segment is None or (segment.writable and not self._is_read_only_after_relocation(address)):
            raise DecodeError(f"the memory at {address:#x} is not constant")
        return self.read(address, size)

    def function_at(self, pc: int) -> Function | None:
        return self._executable.function_at(pc)

    def frames_at(self, pc: int, *, return_address: bool = True) -> tuple[Frame, ...]:
        return self._executable.frames_at(pc, return_address=return_address)

    @property
    def types_base(self) -> int | None:
        module = self._executable.module_data
        return module.types if module is not None else None

    def iter_code(self) -> list[tuple[int, bytes]]:
        """The executable segments that have Go code: (address, bytes)."""
        return [
            (load.address, self._image.read_at(load.offset, load.file_size))
            for load in self._image.loads
            if load.executable
        ]

    # --- relocation ---

    @cached_property
    def _relocated(self) -> dict[int, int]:
        """Place → value of a PIE's relative relocations."""
        if not self._image.relocatable:
            return {}
        for segment in self._image.segments:
            if segment.kind != "PT_DYNAMIC":
                continue
            words = self._image.read_words(segment.address, min(segment.file_size // 8, 4096))
            tags = dict(zip(words[::2], words[1::2], strict=False))
            size = tags.get(_DT_RELASZ, 0)
            data = self._image.read(tags.get(_DT_RELA, 0), size - size % _RELA_SIZE) if size else b""
            places: dict[int, int] = {}
            for at in range(0, len(data), _RELA_SIZE):
                place, info, value = (
                    int.from_bytes(data[at + 8 * n : at + 8 * n + 8], "little") for n in range(3)
                )
                if info & 0xFFFFFFFF == 8:  # R_X86_64_RELATIVE
                    places[place] = value
            return places
        return {}

    def _has_relocations(self, address: int, size: int) -> bool:
        segment = self._image.find_segment(address)
        return segment is not None and not segment.executable

    def _is_read_only_after_relocation(self, address: int) -> bool:
        for name, section in self._image.sections.items():
            if section.address <= address < section.address + section.size and section.address:
                return name.startswith(".data.rel.ro")
        return False
