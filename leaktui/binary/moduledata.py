"""The runtime's moduledata: where text begins, and the base that function data is relative to.

Law: found by proof, not by release. A word that points at the pc-line table is its first field if the
five slices that follow point where the table's header says (runtime/symtab.go `moduledata`, Go 1.20 to
1.27: the fields up to `types` are the same in all; those after it moved in 1.26 and 1.27).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from leaktui.binary.elf import ElfImage
from leaktui.binary.pcheader import Header
from leaktui.errors import DecodeError

_WORDS = 64
_TEXT = 22
_ETEXT = 23
_END = 34
_TYPES = 37
_DT_RELA, _DT_RELASZ = 7, 8
# R_X86_64_RELATIVE, R_AARCH64_RELATIVE, R_RISCV_RELATIVE, R_390_RELATIVE, R_PPC64_RELATIVE, R_LARCH_RELATIVE
_RELATIVE = frozenset({8, 1027, 3, 12, 22})
_NEIGHBOURS = 512


@dataclass(frozen=True, slots=True)
class ModuleData:
    """Link-time addresses. `types` is where type descriptors begin, what their offsets are relative to.

    `funcdata` holds candidates for moduledata.gofunc.
    """

    address: int
    text: int
    etext: int
    types: int
    funcdata: tuple[int, ...]


def find_module_data(image: ElfImage, table: int, header: Header) -> ModuleData | None:
    """The moduledata whose pc-line table, with *header*, is at *table*; None when there is none."""
    for address, words in _iter_candidates(image, table):
        found = _validated(image, table, header, address, words)
        if found is not None:
            return found
    return None


def _iter_candidates(image: ElfImage, table: int) -> Iterator[tuple[int, list[int]]]:
    """Places that hold a pointer to *table*, with the words from there on as they are after relocation."""
    relocations = _Relocations(image)
    for address in relocations.places_of(table):
        yield address, relocations.words(address)
    pattern = image.pack_word(table)
    for segment in sorted(image.loads, key=lambda load: not load.writable):
        for address in image.iter_matches(pattern, segment, align=image.word_size):
            yield address, relocations.words(address)


def _validated(
    image: ElfImage, table: int, header: Header, address: int, words: list[int]
) -> ModuleData | None:
    if len(words) < _WORDS:
        return None
    starts = (header.names, header.units, header.files, header.values, header.functions, header.functions)
    for number, offset in enumerate(starts):
        if words[1 + 3 * number] != table + offset:
            return None
    # ftab has one entry a function and one for the end of the text.
    if words[17] != header.function_count + 1 or words[_TEXT] >= words[_ETEXT]:
        return None
    text = words[_TEXT]
    return ModuleData(address, text, words[_ETEXT], words[_TYPES], _funcdata_candidates(image, words, text))


def _funcdata_candidates(image: ElfImage, words: list[int], text: int) -> tuple[int, ...]:
    """Values of `gofunc`, the field before `textsectmap`, or one further back where `epclntab` follows it.

    `textsectmap` proves itself: a slice whose first element says that the text's section 0 begins at
    `text`. It is word 41 up to Go 1.25, 42 in 1.26, 45 in 1.27.
    """
    for position in range(_END + 4, _WORDS - 2):
        pointer, length, capacity = words[position : position + 3]
        if not 0 < length == capacity < 1 << 16:
            continue
        try:
            start, _end, base = _relocated_words(image, pointer, 3)
        except DecodeError:
            continue
        if start == 0 and base in (0, text):
            # 1.26 on: gofunc lies before epclntab, the end of the table; before, after `rodata`.
            return (words[position - 2], words[position - 1])
    return ()


def _relocated_words(image: ElfImage, address: int, count: int) -> tuple[int, ...]:
    # In a PIE the base address of a text section is a relocation: zero in the file.
    return image.read_words(address, count)


class _Relocations:
    """The relative relocations of a PIE: pointers that are zero in the file and set by the loader."""

    def __init__(self, image: ElfImage) -> None:
        self._image = image
        self._entry = struct.Struct(image.order + ("QQq" if image.word_size == 8 else "IIi"))
        self._data = _rela_data(image, self._entry.size)

    def places_of(self, value: int) -> Iterator[int]:
        """Addresses that will hold *value* (plus the load bias)."""
        size, word = self._entry.size, self._image.word_size
        pattern = self._image.pack_word(value)
        found = self._data.find(pattern)
        while found >= 0:
            if found % size == 2 * word:
                yield self._entry.unpack_from(self._data, found - 2 * word)[0]
            found = self._data.find(pattern, found + 1)

    def words(self, address: int) -> list[int]:
        """The words from *address* on, with relocations applied at bias 0; fewer at a segment's end."""
        image, word = self._image, self._image.word_size
        segment = image.find_segment(address)
        if segment is None:
            return []
        count = min(_WORDS, (segment.address + segment.file_size - address) // word)
        words = list(image.read_words(address, count))
        for place, value in self._iter_near(address):
            position, rest = divmod(place - address, word)
            if rest == 0 and 0 <= position < count:
                words[position] = value
        return words

    def _iter_near(self, address: int) -> Iterator[tuple[int, int]]:
        """Relocations in the neighbourhood of the one at *address*: linkers write those of one object together."""
        size = self._entry.size
        shift = 32 if self._image.word_size == 8 else 8
        pattern = self._image.pack_word(address)
        found = self._data.find(pattern)
        while found >= 0 and found % size:
            found = self._data.find(pattern, found + 1)
        if found < 0:
            return
        start = max(0, found - _NEIGHBOURS * size)
        stop = min(len(self._data) // size * size, found + _NEIGHBOURS * size)
        for place, info, value in self._entry.iter_unpack(self._data[start:stop]):
            if info & ((1 << shift) - 1) in _RELATIVE:
                yield place, value


def _rela_data(image: ElfImage, entry_size: int) -> bytes:
    """The content of DT_RELA, empty where there is none."""
    for segment in image.segments:
        if segment.kind != "PT_DYNAMIC":
            continue
        count = min(segment.file_size // image.word_size, 4096)
        try:
            words = image.read_words(segment.address, count)
            tags = dict(zip(words[::2], words[1::2], strict=False))
            address, size = tags.get(_DT_RELA, 0), tags.get(_DT_RELASZ, 0)
            return image.read(address, size - size % entry_size) if size else b""
        except DecodeError:
            return b""
    return b""
