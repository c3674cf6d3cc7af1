"""An ELF file as sections, segments and bytes at addresses.

Law: this is the only module that reads the file. pyelftools decodes the headers; content is read with
`pread`, never mapped, so a file that shrinks under our feet is an error and not a SIGBUS. Nothing is
read before it is asked for. Addresses are those the linker assigned.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from leaktui.errors import DecodeError, LimitExceeded, NotGo, TargetForbidden, TargetGone, Truncated
from leaktui.text import printable

MALFORMED = (
    ELFError,
    DWARFError,
    ConstructError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What pyelftools raises on malformed input: it has no single exception for that."""

HEADER_LIMIT = 20_000
"""More section or program headers than any linked Go program has (`-split-sections` has thousands)."""

INFLATED_LIMIT = 1 << 30
"""Bytes a compressed section may inflate to."""

_CHUNK = 4 << 20
_SHF_COMPRESSED = 0x800
_COMPRESS_ZLIB = 1

# e_machine → GOARCH; the names users know (elf.h, and Go's internal/goarch).
_GOARCH = {
    "EM_X86_64": "amd64",
    "EM_AARCH64": "arm64",
    "EM_386": "386",
    "EM_ARM": "arm",
    "EM_RISCV": "riscv64",
    "EM_PPC64": "ppc64",
    "EM_S390": "s390x",
    "EM_LOONGARCH": "loong64",
    "EM_MIPS": "mips",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A section header; `address` is 0 for sections that are not loaded, sizes are bytes in the file."""

    name: str
    address: int
    offset: int
    size: int
    flags: int = 0
    in_file: bool = True


@dataclass(frozen=True, slots=True)
class Segment:
    """A PT_LOAD (or PT_DYNAMIC, PT_NOTE) program header."""

    kind: str
    address: int
    offset: int
    file_size: int
    memory_size: int
    writable: bool
    executable: bool


class ElfImage:
    """An open ELF file. Reading methods raise DecodeError when the file is damaged."""

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        self.path = path
        self._stream = stream
        self._fd = stream.fileno()
        status = os.fstat(self._fd)
        self.size = status.st_size
        self.inode = status.st_ino
        try:
            elf = ELFFile(stream)
            if elf.num_sections() > HEADER_LIMIT or elf.num_segments() > HEADER_LIMIT:
                raise LimitExceeded(f"{printable(path)} announces more than {HEADER_LIMIT} headers")
            header = elf.header
            self.little_endian: bool = elf.little_endian
            self.word_size: int = elf.elfclass // 8
            machine = str(header["e_machine"])
            self.machine = _GOARCH.get(machine, machine.removeprefix("EM_").lower())
            if self.machine == "ppc64" and self.little_endian:
                self.machine = "ppc64le"
            self.relocatable: bool = header["e_type"] == "ET_DYN"
            self.entry_point: int = header["e_entry"]
            self.segments = tuple(_iter_segments(elf))
            self.sections = _find_sections(elf)
        except (*MALFORMED, OSError) as error:  # OSError: a header that points before the file
            raise DecodeError(
                f"{printable(path)} is a damaged ELF file", remedy="take a fresh copy of the executable"
            ) from error
        self.order = "<" if self.little_endian else ">"
        self._word = struct.Struct(self.order + ("Q" if self.word_size == 8 else "I"))
        self.loads = tuple(segment for segment in self.segments if segment.kind == "PT_LOAD")

    @classmethod
    def open(cls, path: str | Path) -> ElfImage:
        """Open *path*; raises TargetGone, TargetForbidden, NotGo (no ELF file) or DecodeError."""
        name = str(path)
        shown = printable(name)
        try:
            mode = Path(name).stat().st_mode
            if stat.S_ISDIR(mode):
                raise NotGo(
                    f"{shown} is a directory, not an executable", remedy="give the path of the program"
                )
            if not stat.S_ISREG(mode):  # opening a FIFO would wait for its writer
                raise NotGo(f"{shown} is not a regular file", remedy="give the path of the program")
            stream = Path(name).open("rb")  # noqa: SIM115 - closed by close()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise TargetGone(f"{shown} does not exist", remedy="check the path or the pid") from error
        except PermissionError as error:
            raise TargetForbidden(
                f"no permission to read {shown}", remedy="run as the user who owns it, or as root"
            ) from error
        except (OSError, ValueError) as error:
            raise TargetGone(f"{shown} cannot be opened", remedy="check the path or the pid") from error
        try:
            if os.pread(stream.fileno(), 4, 0) != b"\x7fELF":
                raise NotGo(
                    f"{shown} is not an ELF executable", remedy="give a program built with Go for Linux"
                )
            return cls(name, stream)
        except OSError as error:
            stream.close()
            raise TargetGone(f"{shown} cannot be read", remedy="check the path or the pid") from error
        except BaseException:
            stream.close()
            raise

    def close(self) -> None:
        """Close the file; safe to call again."""
        self._stream.close()

    def __enter__(self) -> ElfImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read_at(self, offset: int, size: int) -> bytes:
        """*size* bytes at file *offset*; raises Truncated when the file does not have them."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise Truncated(f"{printable(self.path)} ends before what its headers announce")
        if self._stream.closed:
            raise DecodeError(f"{printable(self.path)} was closed")
        pieces = []
        while size:
            try:
                piece = os.pread(self._fd, size, offset)
            except OSError as error:
                raise DecodeError(f"{printable(self.path)} cannot be read: {error.strerror}") from error
            if not piece:
                raise Truncated(f"{printable(self.path)} shrank while it was read")
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def find_segment(self, address: int) -> Segment | None:
        """The PT_LOAD segment that has *address* in the file."""
        for segment in self.loads:
            if segment.address <= address < segment.address + segment.file_size:
                return segment
        return None

    def file_offset(self, address: int) -> int | None:
        """Where the byte at link-time *address* is in the file; None for addresses without content."""
        segment = self.find_segment(address)
        return None if segment is None else segment.offset + address - segment.address

    def read(self, address: int, size: int) -> bytes:
        """*size* bytes at link-time *address*; raises DecodeError when they are not in one segment."""
        segment = self.find_segment(address)
        if segment is None or address + size > segment.address + segment.file_size:
            raise DecodeError(f"{printable(self.path)} has no content at {address:#x}")
        return self.read_at(segment.offset + address - segment.address, size)

    def read_words(self, address: int, count: int) -> tuple[int, ...]:
        """*count* pointer-sized words at *address*, as stored in the file (before relocation)."""
        data = self.read(address, count * self.word_size)
        return tuple(word for (word,) in self._word.iter_unpack(data))

    def pack_word(self, value: int) -> bytes:
        """*value* as the target stores a pointer."""
        return self._word.pack(value)

    def section_data(self, name: str) -> bytes | None:
        """Content of a section, inflated where it is compressed; None where there is none to read."""
        section = self.sections.get(name)
        if section is None or not section.in_file:
            return None
        data = self.read_at(section.offset, section.size)
        return self._inflate(section, data) if section.flags & _SHF_COMPRESSED else data

    def _inflate(self, section: Section, data: bytes) -> bytes | None:
        # Elf64_Chdr is type, reserved, size, alignment; Elf32_Chdr lacks the second (elf.h).
        header = struct.Struct(self.order + ("IIQQ" if self.word_size == 8 else "III"))
        if len(data) < header.size:
            raise Truncated(f"section {printable(section.name)} is cut short")
        kind, *rest = header.unpack_from(data)
        size: int = rest[1] if self.word_size == 8 else rest[0]
        if kind != _COMPRESS_ZLIB:
            return None
        if size > INFLATED_LIMIT:
            raise LimitExceeded(
                f"section {printable(section.name)} inflates to more than {INFLATED_LIMIT} bytes"
            )
        try:
            return zlib.decompressobj().decompress(memoryview(data)[header.size :], size)
        except zlib.error as error:
            raise DecodeError(f"section {printable(section.name)} is damaged") from error

    def iter_matches(self, pattern: bytes, segment: Segment, *, align: int = 1) -> Iterator[int]:
        """Addresses at which *pattern* stands in *segment*, ascending; reads a chunk at a time."""
        end = min(segment.file_size, self.size - segment.offset)
        position = 0
        while position < end:
            data = self.read_at(segment.offset + position, min(_CHUNK + len(pattern) - 1, end - position))
            found = data.find(pattern)
            while found >= 0:
                if found < _CHUNK and (segment.address + position + found) % align == 0:
                    yield segment.address + position + found
                found = data.find(pattern, found + 1)
            position += _CHUNK


def _iter_segments(elf: ELFFile) -> Iterator[Segment]:
    for segment in elf.iter_segments():
        header = segment.header
        flags = header["p_flags"]
        yield Segment(
            kind=str(header["p_type"]),
            address=header["p_vaddr"],
            offset=header["p_offset"],
            file_size=header["p_filesz"],
            memory_size=header["p_memsz"],
            writable=bool(flags & 2),
            executable=bool(flags & 1),
        )


def _find_sections(elf: ELFFile) -> dict[str, Section]:
    """The sections by name; none where their table is missing or damaged, for the kernel needs none either."""
    found: dict[str, Section] = {}
    try:
        for section in elf.iter_sections():
            header = section.header
            found[section.name] = Section(
                name=section.name,
                address=header["sh_addr"],
                offset=header["sh_offset"],
                size=header["sh_size"],
                flags=header["sh_flags"],
                in_file=header["sh_type"] not in ("SHT_NOBITS", "SHT_NULL"),
            )
    except MALFORMED:
        return {}
    return found
