"""What a response's body is, by the interface it comes in: what to pair it by, or why not to.

Law: told by the type the program itself describes, name and package both; a type that is not known is never taken for
one that is. Names as of Go 1.21 to 1.27 (net/http/transport.go, h2_bundle.go, internal/http2/transport.go).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from leaktui.binary.runtime_types import KIND_POINTER, KIND_STRUCT, RuntimeTypes, TypeInfo
from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.probes.body_layout import StreamPackage
from leaktui.errors import DecodeError, TargetGone
from leaktui.text import printable

_ITAB = struct.Struct("<QQ")
_KINDS_CACHED = 1 << 10


class BodyForm(Enum):
    """How the thing that is paired is found from the interface's data word."""

    SIGNAL = "the data word is the http.bodyEOFSignal"
    PACKED_SIGNAL = "it is an http.gzipReader, which has the address of one"
    STREAM = "it is the HTTP/2 stream"
    PACKED_STREAM = "it is an HTTP/2 gzipReader, which has an interface with one"
    NOTHING = "there is nothing to close"
    OTHER = "something that is not paired"


class BodyKind(NamedTuple):
    """A type of bodies. `name` is printable, empty where it is not known.

    `package` is which HTTP/2 client it is of, None for none.
    """

    form: BodyForm
    name: str = ""
    package: StreamPackage | None = None


class BodyKinds:
    """Recognises the bodies of one process. Not thread-safe."""

    def __init__(self, memory: MemoryReader, types: RuntimeTypes, packages: Sequence[StreamPackage]) -> None:
        self._memory = memory
        self._types = types
        self._packages = packages
        self._known: dict[int, BodyKind] = {}

    def of(self, itab: int) -> BodyKind:
        """The kind of an io.ReadCloser whose first word is *itab*."""
        kind = self._known.get(itab)
        if kind is None:
            if len(self._known) >= _KINDS_CACHED:
                self._known.clear()
            kind = self._known[itab] = self._find(itab)
        return kind

    def _find(self, itab: int) -> BodyKind:
        if not itab:
            return BodyKind(BodyForm.NOTHING)
        try:
            # abi.ITab: the interface's type, the value's (internal/abi/iface.go).
            info = self._types.at(_ITAB.unpack(self._memory.read(itab, _ITAB.size))[1])
        except (DecodeError, TargetGone):
            info = None
        if info is None:
            return BodyKind(BodyForm.OTHER)  # it was made at run time, or cannot be read
        name = printable(info.name)
        if info.kind == KIND_STRUCT:
            if info.size == 0:
                return BodyKind(BodyForm.NOTHING, name)  # NoBody and its like: it has no state
            return self._of_struct(info, name)
        if info.kind == KIND_POINTER:
            return self._of_pointer(info, name)
        return BodyKind(BodyForm.OTHER, name)

    def _of_struct(self, info: TypeInfo, name: str) -> BodyKind:
        """A struct of one pointer is in the data word itself (abi.KindDirectIface)."""
        layout = self._types.struct_at(info.address)
        if layout is not None and info.size == 8 and len(layout.fields) == 1:
            for package in self._packages:
                if (layout.name, layout.package) == (
                    package.type_name("transportResponseBody"),
                    package.path,
                ):
                    return BodyKind(BodyForm.STREAM, name, package)
        return BodyKind(BodyForm.OTHER, name)

    def _of_pointer(self, info: TypeInfo, name: str) -> BodyKind:
        element = self._types.element_of(info.address)
        layout = self._types.struct_at(element.address) if element is not None else None
        if layout is None:
            return BodyKind(BodyForm.OTHER, name)
        if layout.package == "net/http":
            if layout.name == "http.bodyEOFSignal":
                return BodyKind(BodyForm.SIGNAL, name)
            if layout.name == "http.gzipReader":
                return BodyKind(BodyForm.PACKED_SIGNAL, name)
        for package in self._packages:
            if (layout.name, layout.package) == (package.type_name("gzipReader"), package.path):
                return BodyKind(BodyForm.PACKED_STREAM, name, package)
        return BodyKind(BodyForm.OTHER, name)
