"""Network connections in memory: from a net.Conn to the descriptor and the addresses behind it.

Law: an interface value is followed by the types the program itself describes (internal/abi `ITab`, `Type`), down to
a net.netFD (net/fd_posix.go; internal/poll/fd_unix.go), Go 1.21 to 1.27. A connection that wraps another, the
standard library's or a user's, is looked into: what is called net.Conn first, then everything else, a few levels
deep. If that leads to several sockets, the connection is not described rather than guessed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from leaktui.binary.runtime_types import KIND_INTERFACE, KIND_POINTER, KIND_STRUCT, StructLayout, TypeInfo
from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError
from leaktui.text import printable

_DEPTH = 12
_VISITS = 128
_TYPES_CACHED = 1 << 12
_PATH_LIMIT = 256
_ZONE_LIMIT = 64
_MUTEX_CLOSED = 1  # internal/poll/fd_mutex.go
_FD_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Connection:
    """A socket. Addresses are `host:port`, `[v6]:port` or a unix path, empty where it has none.

    `fd` is None once it is closed. `tls` says that a tls.Conn was met on the way. `net_fd` is the address of the
    net.netFD, `poll` that of the runtime.pollDesc (0 for none).
    """

    fd: int | None
    local: str
    remote: str
    tls: bool
    network: str
    net_fd: int
    poll: int


class Connections:
    """Describes the net.Conn values of one process. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        self._memory: MemoryReader = attachment.memory
        self._types = attachment.layout.types
        find = self._types.find_struct
        self._net_fd = find("net.netFD", "net")
        self._poll_fd = find("poll.FD", "internal/poll")
        self._poll_desc = find("runtime.pollDesc", "runtime")
        self._layouts: dict[int, StructLayout | None] = {}
        self._itabs: dict[tuple[int, int], int] = {}

    def describe(self, itab: int, data: int) -> Connection | None:
        """The socket behind the net.Conn (or any other non-empty interface value) of these two words.

        None where there is none, or not one only. Raises TargetGone.
        """
        kind = self._dynamic_type(itab)
        return None if kind is None else self._search(kind, data)

    def describe_pointer(self, type_address: int, address: int) -> Connection | None:
        """The socket behind the struct at *address* whose type's descriptor is at *type_address*."""
        kind = self._types.at(type_address)
        return None if kind is None or kind.kind != KIND_STRUCT else self._search_struct(kind, address)

    def reader_of(self, connection: Connection) -> int:
        """The address of the runtime.g parked until *connection* can be read; 0 for none."""
        field = self._poll_desc.fields.get("rg") if self._poll_desc is not None else None
        if field is None or not connection.poll:
            return 0
        try:
            waiting = self._word(connection.poll + field.offset)
        except DecodeError:
            return 0
        return waiting if waiting > 4096 else 0  # pdReady is 1, pdWait 2

    def type_of(self, itab: int) -> TypeInfo | None:
        """The type of the value in a non-empty interface whose first word is *itab*."""
        return self._dynamic_type(itab)

    # --- the way to the socket ---

    def _search(self, kind: TypeInfo, data: int) -> Connection | None:
        """What an interface value of dynamic type *kind* with the data word *data* leads to."""
        if kind.kind == KIND_POINTER:
            element = self._types.element_of(kind.address)
            if element is None or element.kind != KIND_STRUCT:
                return None
            return self._search_struct(element, data)
        if kind.kind != KIND_STRUCT or self._is_direct(kind):
            inner = self._only_pointer(kind)
            return None if inner is None else self._search_struct(inner, data)
        return self._search_struct(kind, data)

    def _search_struct(self, kind: TypeInfo, address: int) -> Connection | None:
        """Breadth first, so that what is nearest counts; everything found at the same depth must agree."""
        level: list[tuple[TypeInfo, int, bool]] = [(kind, address, False)]
        seen: set[tuple[int, int]] = set()
        for _ in range(_DEPTH):
            found: dict[int, bool] = {}
            below: list[tuple[TypeInfo, int, bool]] = []
            for here, place, tls in level:
                if not place or (here.address, place) in seen or len(seen) >= _VISITS:
                    continue
                seen.add((here.address, place))
                if self._is_net_fd(here):
                    found[place] = found.get(place, False) or tls
                    continue
                layout = self._layout(here.address)
                if layout is not None:
                    tls = tls or here.name == "tls.Conn"
                    below += [(*step, tls) for step in self._steps(layout, place)]
            if found:
                return self._decode_fd(*next(iter(found.items()))) if len(found) == 1 else None
            level = below
        return None

    def _steps(self, layout: StructLayout, address: int) -> list[tuple[TypeInfo, int]]:
        """The structs a struct leads to: through its connections only if it has any, else through every field."""
        try:
            data = self._memory.read(address, min(layout.size, 1 << 16))
        except DecodeError:
            return []
        likely: list[tuple[TypeInfo, int]] = []
        others: list[tuple[TypeInfo, int]] = []
        for name, field in layout.fields.items():
            kind = self._types.at(field.type)
            if kind is None or field.offset + kind.size > len(data):
                continue
            if kind.kind == KIND_STRUCT:
                step = (kind, address + field.offset)
                is_conn = self._is_net_fd(kind)
            elif kind.kind == KIND_POINTER:
                element = self._types.element_of(kind.address)
                if element is None or element.kind != KIND_STRUCT:
                    continue
                step = (element, struct.unpack_from("<Q", data, field.offset)[0])
                is_conn = self._is_net_fd(element) or name in ("conn", "Conn")
            elif kind.kind == KIND_INTERFACE and kind.size == 16:
                itab, value = struct.unpack_from("<QQ", data, field.offset)
                inner = self._dynamic_type(itab, kind.address)
                target = None if inner is None else self._pointed(inner)
                if target is None:
                    continue
                step = (target, value)
                is_conn = kind.name == "net.Conn"
            else:
                continue
            (likely if is_conn else others).append(step)
        return likely or others

    def _pointed(self, kind: TypeInfo) -> TypeInfo | None:
        """The struct that the data word of an interface holding a *kind* points at."""
        if kind.kind == KIND_POINTER:
            element = self._types.element_of(kind.address)
            return element if element is not None and element.kind == KIND_STRUCT else None
        if kind.kind == KIND_STRUCT:
            return self._only_pointer(kind) if self._is_direct(kind) else kind
        return None

    def _is_direct(self, kind: TypeInfo) -> bool:
        """Whether an interface holds such a struct itself: it is one pointer and nothing else."""
        layout = self._layout(kind.address)
        return kind.size == kind.pointer_bytes == 8 and layout is not None and len(layout.fields) == 1

    def _only_pointer(self, kind: TypeInfo) -> TypeInfo | None:
        """What the one pointer that a struct consists of points at, where that is a struct."""
        for _ in range(_DEPTH):
            layout = self._layout(kind.address)
            if layout is None or len(layout.fields) != 1:
                return None
            inner = self._types.at(next(iter(layout.fields.values())).type)
            if inner is None:
                return None
            if inner.kind == KIND_POINTER:
                element = self._types.element_of(inner.address)
                return element if element is not None and element.kind == KIND_STRUCT else None
            if inner.kind != KIND_STRUCT:
                return None
            kind = inner
        return None

    def _is_net_fd(self, kind: TypeInfo) -> bool:
        if kind.name != "net.netFD" or self._net_fd is None:
            return False
        layout = self._layout(kind.address)
        return layout is not None and layout.package == "net"

    def _dynamic_type(self, itab: int, interface: int = 0) -> TypeInfo | None:
        """The type an itab is for. It must be of *interface* (a type's address) where one is given."""
        if not itab or itab % 8:
            return None
        address = self._itabs.get((itab, interface))
        if address is None:
            try:
                owner, address = struct.unpack("<QQ", self._memory.read(itab, 16))
            except DecodeError:
                return None
            is_itab = owner == interface if interface else self._kind_of(owner) == KIND_INTERFACE
            if not is_itab or self._types.at(address) is None:
                return None
            if len(self._itabs) >= _TYPES_CACHED:
                self._itabs.clear()
            self._itabs[itab, interface] = address
        return self._types.at(address)

    def _kind_of(self, address: int) -> int:
        info = self._types.at(address)
        return 0 if info is None else info.kind

    def _layout(self, address: int) -> StructLayout | None:
        if address not in self._layouts:
            if len(self._layouts) >= _TYPES_CACHED:
                self._layouts.clear()
            self._layouts[address] = self._types.struct_at(address)
        return self._layouts[address]

    # --- the socket ---

    def _decode_fd(self, address: int, tls: bool) -> Connection | None:
        fd, poll = self._net_fd, self._poll_fd
        if fd is None or poll is None or not {"pfd", "net", "laddr", "raddr"} <= fd.fields.keys():
            return None
        if not {"fdmu", "Sysfd", "pd"} <= poll.fields.keys():
            return None
        try:
            data = self._memory.read(address, fd.size)
            start = fd.fields["pfd"].offset
            (state,) = struct.unpack_from("<Q", data, start + poll.fields["fdmu"].offset)
            (number,) = struct.unpack_from("<q", data, start + poll.fields["Sysfd"].offset)
            (pd,) = struct.unpack_from("<Q", data, start + poll.fields["pd"].offset)
            network = self._string(data, fd.fields["net"].offset, _ZONE_LIMIT)
            local, remote = (
                self._address(*struct.unpack_from("<QQ", data, fd.fields[name].offset))
                for name in ("laddr", "raddr")
            )
        except DecodeError:
            return None
        is_open = not state & _MUTEX_CLOSED and 0 <= number < _FD_LIMIT
        return Connection(number if is_open else None, local, remote, tls, network, address, pd)

    def _address(self, itab: int, data: int) -> str:
        """A net.Addr as text: those of TCP, UDP and unix sockets, empty for others."""
        kind = self._dynamic_type(itab)
        if kind is None or kind.kind != KIND_POINTER:
            return ""
        element = self._types.element_of(kind.address)
        if element is None or not data:
            return ""
        layout = self._layout(element.address)
        if layout is None:
            return ""
        value = self._memory.read(data, layout.size)
        fields = layout.fields
        sizes = {name: field.size for name, field in fields.items()}
        if element.name in ("net.TCPAddr", "net.UDPAddr") and sizes == {"IP": 24, "Port": 8, "Zone": 16}:
            pointer, length = struct.unpack_from("<QQ", value, fields["IP"].offset)
            (port,) = struct.unpack_from("<q", value, fields["Port"].offset)
            zone = self._string(value, fields["Zone"].offset, _ZONE_LIMIT)
            host = format_host(self._memory.read(pointer, length) if length in (4, 16) else b"", zone)
            return f"{host}:{port}" if host and 0 <= port <= 0xFFFF else ""
        if element.name == "net.UnixAddr" and sizes.get("Name") == 16:
            return self._string(value, fields["Name"].offset, _PATH_LIMIT)
        return ""

    def _string(self, data: bytes, offset: int, limit: int) -> str:
        """The Go string whose header is at *offset* of *data*."""
        pointer, length = struct.unpack_from("<QQ", data, offset)
        if not pointer or not 0 < length <= limit:
            return ""
        return printable(self._memory.read(pointer, length).decode("utf-8", "replace"))

    def _word(self, address: int) -> int:
        word: int = struct.unpack("<Q", self._memory.read(address, 8))[0]
        return word


def format_host(address: bytes, zone: str = "") -> str:
    """An IP address as it stands before a port; an IPv4 address in the form of IPv6 is shown as what it is."""
    if len(address) == 16 and address.startswith(bytes(10) + b"\xff\xff"):
        address = address[12:]
    if len(address) == 4:
        return str(IPv4Address(address))
    if len(address) == 16:
        return f"[{IPv6Address(address)}{'%' + zone if zone else ''}]"
    return ""
