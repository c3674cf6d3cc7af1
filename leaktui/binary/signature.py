"""What a function returns, from DWARF.

Law: nothing is indexed. The function's name stands as plain bytes in `.debug_info` (DW_FORM_string, in
DWARF 4 and 5 alike: cmd/internal/dwarf `DW_ABRV_FUNCTION`, `DW_ABRV_FUNCTION_ABSTRACT`); only the unit
and the entry around a hit are decoded, by pyelftools.
"""

from __future__ import annotations

import io
import re
import struct
from bisect import bisect_right
from functools import cached_property

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

from leaktui.binary.elf import MALFORMED, ElfImage
from leaktui.errors import DecodeError

BODY_TYPES = frozenset({"*net/http.Response", "net/http.Response", "io.ReadCloser"})
"""Result types by which a function hands an open response body to its caller."""

_MACHINES = {"amd64": "x64", "386": "x86", "arm64": "AArch64", "arm": "ARM"}
_HITS = 64
_CHILDREN = 4096


class Signatures:
    """Output parameters by function name; asks cost a scan of `.debug_info` the first time."""

    def __init__(self, image: ElfImage) -> None:
        self._image = image
        self._known: dict[str, tuple[str, ...] | None] = {}

    def outputs_of(self, function: str) -> tuple[str, ...] | None:
        """The types of *function*'s results in order; None where DWARF is missing or does not know it.

        `main.Fetch[...]` means any instantiation.
        """
        if function not in self._known:
            try:
                self._known[function] = self._find(function)
            except (DecodeError, *MALFORMED):
                self._known[function] = None
        return self._known[function]

    def _find(self, function: str) -> tuple[str, ...] | None:
        info = self._info
        if info is None or not function or "\0" in function:
            return None
        name = re.escape(function.encode("utf-8", "surrogateescape"))
        name = name.replace(rb"\[\.\.\.\]", rb"\[[^\0]*\]")
        for number, match in enumerate(re.finditer(name + rb"\0", self._bytes)):
            if number >= _HITS:
                break
            entry = self._subprogram_at(info, match.start())
            if entry is None:
                continue
            outputs = _outputs(entry)
            if outputs or "DW_AT_inline" not in entry.attributes:
                return outputs
            # The abstract instance of an inlined function leaves unnamed results out (cmd/internal/dwarf
            # `PutAbstractFunc`); a copy that was also compiled by itself has them.
            return self._concrete_outputs(info, entry.offset)
        return None

    def _concrete_outputs(self, info: DWARFInfo, abstract: int) -> tuple[str, ...] | None:
        reference = struct.pack(self._image.order + "I", abstract)
        for number, match in enumerate(re.finditer(re.escape(reference), self._bytes)):
            if number >= _HITS:
                break
            entry = self._subprogram_at(info, match.start())
            if entry is not None:
                return _outputs(entry)
        return None

    def _subprogram_at(self, info: DWARFInfo, first_value: int) -> DIE | None:
        """The subprogram whose first attribute (its name, or its abstract origin) stands at *first_value*."""
        unit = self._unit_containing(info, first_value)
        if unit is None:
            return None
        # The entry's abbreviation code, a ULEB128 of one or two bytes, is all that precedes it.
        for width in (1, 2):
            code = self._bytes[max(0, first_value - width) : first_value]
            if len(code) < width or any(byte < 0x80 for byte in code[:-1]) or code[-1] >= 0x80:
                continue
            try:
                entry = unit.get_DIE_from_refaddr(first_value - width)
            except MALFORMED:
                continue
            first = next(iter(entry.attributes.values()), None)
            if entry.tag == "DW_TAG_subprogram" and first is not None and first.offset == first_value:
                return entry
        return None

    def _unit_containing(self, info: DWARFInfo, offset: int) -> CompileUnit | None:
        index = bisect_right(self._units, offset) - 1
        return info.get_CU_at(self._units[index]) if index >= 0 else None

    @cached_property
    def _bytes(self) -> bytes:
        return self._image.section_data(".debug_info") or b""

    @cached_property
    def _units(self) -> list[int]:
        """Offsets of the units' headers, by hopping over their lengths."""
        found = []
        position, data = 0, self._bytes
        length_of = struct.Struct(self._image.order + "I").unpack_from
        long_length_of = struct.Struct(self._image.order + "Q").unpack_from
        while position + 12 <= len(data):
            found.append(position)
            length = length_of(data, position)[0] + 4
            if length == 0x1_0000_0003:  # the 64-bit format announces itself by 0xffffffff
                length = long_length_of(data, position + 4)[0] + 12
            position += length
        return found

    @cached_property
    def _info(self) -> DWARFInfo | None:
        if not self._bytes:
            return None
        # Line tables, locations and ranges are most of DWARF's bytes, and are never asked for here.
        empty = (None,)
        sections = {
            name: self._descriptor(name)
            for name in (
                ".debug_abbrev",
                ".debug_str",
                ".debug_addr",
                ".debug_str_offsets",
                ".debug_line_str",
            )
        }
        return DWARFInfo(
            DwarfConfig(
                little_endian=self._image.little_endian,
                default_address_size=self._image.word_size,
                machine_arch=_MACHINES.get(self._image.machine, "<unknown>"),
            ),
            DebugSectionDescriptor(io.BytesIO(self._bytes), ".debug_info", 0, len(self._bytes), 0),
            *empty,  # aranges
            sections[".debug_abbrev"],
            *empty * 2,  # frame, eh_frame
            sections[".debug_str"],
            *empty * 5,  # loc, ranges, line, pubtypes, pubnames
            sections[".debug_addr"],
            sections[".debug_str_offsets"],
            sections[".debug_line_str"],
            *empty * 5,  # loclists, rnglists, sup, gnu_debugaltlink, types
        )

    def _descriptor(self, name: str) -> DebugSectionDescriptor | None:
        data = self._image.section_data(name)
        return None if data is None else DebugSectionDescriptor(io.BytesIO(data), name, 0, len(data), 0)


def _outputs(entry: DIE) -> tuple[str, ...]:
    # A function with defer has its results twice, on the stack and in registers, under one name.
    found: dict[bytes, str] = {}
    for number, child in enumerate(entry.iter_children()):
        if number >= _CHILDREN:
            break
        if child.tag != "DW_TAG_formal_parameter":
            continue
        flag = child.attributes.get("DW_AT_variable_parameter")
        name = child.attributes.get("DW_AT_name")
        if flag is None or not flag.value or name is None or "DW_AT_type" not in child.attributes:
            continue
        found.setdefault(name.value, _type_name(child.get_DIE_from_attribute("DW_AT_type")))
    return tuple(found.values())


def _type_name(entry: DIE) -> str:
    name = entry.attributes.get("DW_AT_name")
    if name is None:
        return ""
    if name.value.startswith(b".") and "DW_AT_type" in entry.attributes:
        # A type parameter is a typedef `.param0` of the shape it was compiled for.
        return _type_name(entry.get_DIE_from_attribute("DW_AT_type")).removeprefix("go.shape.")
    return bytes(name.value).decode("utf-8", "replace")


def hands_over_body(outputs: tuple[str, ...] | None) -> bool:
    """Whether a function with these results may hand an open response body to its caller."""
    return outputs is not None and not BODY_TYPES.isdisjoint(outputs)
