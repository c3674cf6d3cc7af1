"""Constants the compiled code refers to: type descriptors, interface method names, jump tables.

Law: only memory that the program cannot write is read; anything else is unknown until it runs.
"""

from __future__ import annotations

from leaktui.binary.flow.code import CodeReader
from leaktui.errors import DecodeError
from leaktui.text import printable

# internal/abi/type.go, Go 1.22 to 1.27: abi.Type is 48 bytes with Str at 40; InterfaceType goes on with
# PkgPath and the slice Methods of {Name NameOff, Typ TypeOff}.
_TYPE_STRING = 40
_INTERFACE_METHODS = 56
_METHOD_SIZE = 8
_KIND = 23
_KIND_MASK = 0x1F
_KIND_INTERFACE = 20
_METHODS_LIMIT = 64
_NAME_LIMIT = 512
_JUMP_TABLE_LIMIT = 4096


class Metadata:
    """Reads descriptors through a CodeReader, each once."""

    def __init__(self, reader: CodeReader) -> None:
        self._reader = reader
        self._methods: dict[int, tuple[str, ...] | None] = {}
        self._asserted: dict[int, int | None] = {}

    def read_word(self, address: int) -> int | None:
        """The pointer-sized constant at *address*; None if it is not one."""
        try:
            return int.from_bytes(self._reader.read_constant(address, 8), "little")
        except DecodeError:
            return None

    def find_asserted_interface(self, descriptor: int) -> int | None:
        """The interface type an abi.TypeAssert {Cache, Inter, CanFail} asserts to; None if it is no such thing."""
        if descriptor not in self._asserted:
            interface = None
            try:
                interface = int.from_bytes(self._reader.read(descriptor + 8, 8), "little")
            except DecodeError:
                interface = None
            if interface is not None and self.interface_methods(interface) is None:
                interface = None
            self._asserted[descriptor] = interface
        return self._asserted[descriptor]

    def interface_methods(self, interface: int) -> tuple[str, ...] | None:
        """The method names of the interface type at *interface*, sorted as in its itabs."""
        if interface not in self._methods:
            try:
                self._methods[interface] = self._read_methods(interface)
            except (DecodeError, IndexError):
                self._methods[interface] = None
        return self._methods[interface]

    def is_error_itab(self, address: int) -> bool:
        """Whether there is an abi.ITab {Inter, …} of the interface `error` at *address*."""
        interface = self.read_word(address)
        return interface is not None and self.interface_methods(interface) == ("Error",)

    def _read_methods(self, interface: int) -> tuple[str, ...] | None:
        base = self._reader.types_base
        header = self._reader.read(interface, _INTERFACE_METHODS + 16)
        if base is None or header[_KIND] & _KIND_MASK != _KIND_INTERFACE:
            return None
        pointer = int.from_bytes(header[_INTERFACE_METHODS : _INTERFACE_METHODS + 8], "little")
        count = int.from_bytes(header[_INTERFACE_METHODS + 8 : _INTERFACE_METHODS + 16], "little")
        if not 0 < count <= _METHODS_LIMIT:
            return None
        if not pointer:  # a PIE's pointer that the loader fills in; the methods follow the type itself
            return None
        table = self._reader.read(pointer, count * _METHOD_SIZE)
        names = []
        for at in range(0, len(table), _METHOD_SIZE):
            names.append(self._name(base + int.from_bytes(table[at : at + 4], "little")))
        return tuple(names)

    def type_name(self, address: int) -> str:
        """The string of the type at *address*, as reflect prints it; empty if there is none."""
        base = self._reader.types_base
        if base is None:
            return ""
        try:
            offset = int.from_bytes(self._reader.read(address + _TYPE_STRING, 4), "little")
            return self._name(base + offset).removeprefix("*")
        except (DecodeError, IndexError):
            return ""

    def _name(self, address: int) -> str:
        """abi.Name: a byte of flags, a varint length, the bytes."""
        head = self._reader.read(address, 3)
        size, start = head[1], 2
        if size & 0x80:
            size, start = size & 0x7F | head[2] << 7, 3
        if size > _NAME_LIMIT:
            raise IndexError
        return printable(self._reader.read(address + start, size).decode("utf-8", "replace"))

    def jump_targets(self, table: int, entry: int, end: int) -> list[int]:
        """The code addresses in the jump table at *table* that lie in [entry, end)."""
        targets: list[int] = []
        while len(targets) < _JUMP_TABLE_LIMIT:
            word = self.read_word(table + 8 * len(targets))
            if word is None or not entry <= word < end:
                break
            targets.append(word)
        return targets
