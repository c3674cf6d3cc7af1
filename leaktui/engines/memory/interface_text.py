"""What is in an `any`, as text: what Go would print of a panic's value, without running the program's code.

Law: one short read or two for each value. Strings, numbers and the errors of the standard library that
hold their text are told (runtime/error.go, errors/errors.go, fmt/errors.go); of others the type is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from leaktui.binary.runtime_types import (
    KIND_POINTER,
    KIND_STRING,
    KIND_STRUCT,
    RuntimeTypes,
    StructLayout,
    TypeInfo,
)
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError
from leaktui.text import printable

TEXT_LIMIT = 1024
"""Bytes of a string that are read."""

_BOOL, _FIRST_SIGNED, _LAST_SIGNED, _LAST_UNSIGNED = 1, 2, 6, 12
_FLOATS = {13: "<f", 14: "<d"}
_SIGNED_INDEX = 1
_RUNTIME_ERROR = "runtime error: "

# Kinds of string whose Error method puts something before it.
_PREFIXES: Mapping[str, str] = {"runtime.errorString": _RUNTIME_ERROR, "runtime.plainError": ""}
# Structs, by name and package, that keep the text of their Error method in a field.
_TEXT_FIELDS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("errors.errorString", "errors"): ("s", ""),
    ("fmt.wrapError", "fmt"): ("msg", ""),
    ("fmt.wrapErrors", "fmt"): ("msg", ""),
    ("runtime.errorAddressString", "runtime"): ("msg", _RUNTIME_ERROR),
}


def read_interface_text(
    memory: MemoryReader, types: RuntimeTypes, type_address: int, data: int
) -> tuple[str, str]:
    """(text, type) of the `any` with these two words, both printable; the type stands for a text not known.

    An error made of a type at run time has no type we know. Raises TargetGone.
    """
    if not type_address:
        return "nil", ""
    info = types.at(type_address)
    if info is None:
        return "", ""
    name = printable(info.name)
    try:
        text = _text(memory, types, info, data)
    except (DecodeError, struct.error):
        text = None
    return (name if text is None else printable(text, TEXT_LIMIT)), name


def _text(memory: MemoryReader, types: RuntimeTypes, info: TypeInfo, data: int) -> str | None:
    kind = info.kind
    if kind == KIND_STRING:
        text = _string(memory.read(data, 16), memory)
        return _PREFIXES.get(info.name, "") + text
    if kind == _BOOL:
        return "true" if memory.read(data, 1)[0] else "false"
    if _FIRST_SIGNED <= kind <= _LAST_UNSIGNED and info.size in (1, 2, 4, 8):
        raw = memory.read(data, info.size)
        return str(int.from_bytes(raw, "little", signed=kind <= _LAST_SIGNED))
    if kind in _FLOATS:
        code = _FLOATS[kind]
        return repr(struct.unpack(code, memory.read(data, struct.calcsize(code)))[0])
    if kind == KIND_POINTER:
        element = types.element_of(info.address)
        if not data or element is None:
            return "nil" if not data else None
        info = element
    if info.kind != KIND_STRUCT:
        return None
    layout = types.struct_at(info.address)
    if info.name == "runtime.PanicNilError":
        return "panic called with nil argument"
    return None if layout is None else _struct_text(memory, layout, data)


def _struct_text(memory: MemoryReader, layout: StructLayout, address: int) -> str | None:
    name, prefix = _TEXT_FIELDS.get((layout.name, layout.package), ("", ""))
    field = layout.fields.get(name)
    if field is not None and field.size == 16:
        return prefix + _string(memory.read(address + field.offset, 16), memory)
    if (layout.name, layout.package) == ("runtime.boundsError", "runtime"):
        return _RUNTIME_ERROR + _bounds_text(layout, memory.read(address, layout.size))
    return None


def _bounds_text(layout: StructLayout, data: bytes) -> str:
    """A boundsError's text; of slices only that it was one, there being eight ways (boundsErrorFmts)."""
    x, y, signed, code = (layout.fields[name] for name in ("x", "y", "signed", "code"))
    index = int.from_bytes(data[x.offset : x.offset + 8], "little", signed=bool(data[signed.offset]))
    length = int.from_bytes(data[y.offset : y.offset + 8], "little")
    if data[code.offset]:
        return "slice bounds out of range" if data[code.offset] < 9 else "cannot convert slice"
    if index < 0:
        return f"index out of range [{index}]"
    return f"index out of range [{index}] with length {length}"


def _string(header: bytes, memory: MemoryReader) -> str:
    pointer, length = struct.unpack("<QQ", header)
    if not length:
        return ""
    text = memory.read(pointer, min(length, TEXT_LIMIT)).decode("utf-8", "replace")
    return text + "…" if length > TEXT_LIMIT else text
