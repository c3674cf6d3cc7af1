"""Sockets of a process: `/proc/PID/net/*` joined to descriptors by socket inode.

Law: the tables read are the target's own (`/proc/PID/net` is its network namespace), so a container's
sockets are found from outside. A table may be as long as the host is busy: lines are looked at one by
one and only those with a wanted inode are decoded. Layout: net/ipv4/tcp_ipv4.c `get_tcp4_sock`,
net/ipv6/tcp_ipv6.c, net/unix/af_unix.c `unix_seq_show`.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from leaktui.engines.proc_stat import target_error
from leaktui.model.process import Listener, Socket
from leaktui.text import printable

# include/net/tcp_states.h
_TCP_STATES = {
    0x01: "ESTABLISHED",
    0x02: "SYN_SENT",
    0x03: "SYN_RECV",
    0x04: "FIN_WAIT1",
    0x05: "FIN_WAIT2",
    0x06: "TIME_WAIT",
    0x07: "CLOSE",
    0x08: "CLOSE_WAIT",
    0x09: "LAST_ACK",
    0x0A: "LISTEN",
    0x0B: "CLOSING",
    0x0C: "NEW_SYN_RECV",
}
_TCP_LISTEN = b"0A"
_UNIX_ACCEPTS = 1 << 16  # SO_ACCEPTCON in the flags of /proc/net/unix
_UNIX_CONNECTED = b"03"
_UNIX_STREAM = b"0001"

_LINE_LIMIT = 4_000_000
_SOCKET_PREFIX = "socket:["


@dataclass(frozen=True, slots=True)
class UnixListener:
    """A unix socket the process listens on.

    `path` is as the process bound it: relative to *its* root and working directory; an abstract name
    begins with a NUL byte.
    """

    path: bytes
    inode: int

    @property
    def name(self) -> str:
        """The path made safe to print; `@` stands for the NUL of an abstract name."""
        raw = b"@" + self.path[1:] if self.path.startswith(b"\0") else self.path
        return printable(raw.decode("utf-8", "surrogateescape"))


def find_sockets(pid: int, inodes: Collection[int]) -> dict[int, Socket]:
    """The sockets with these inodes in the network namespace of *pid*, by inode."""
    wanted = frozenset(b"%d" % inode for inode in inodes)
    found: dict[int, Socket] = {}
    if not wanted:
        return found
    for family in ("tcp", "tcp6", "udp", "udp6"):
        for fields in _iter_lines(pid, family):
            if len(fields) > 9 and fields[9] in wanted:
                with suppress(ValueError, struct.error):
                    found[int(fields[9])] = _decode_inet(family, fields)
                if len(found) == len(wanted):
                    return found
    for fields in _iter_lines(pid, "unix"):
        if len(fields) > 6 and fields[6] in wanted:
            with suppress(ValueError):
                found[int(fields[6])] = _decode_unix(fields)
    return found


def find_listeners(pid: int) -> tuple[Listener, ...]:
    """The TCP addresses *pid* listens on, matched by the inodes of its own descriptors; IPv4 first.

    Raises TargetGone, TargetForbidden.
    """
    return find_all_listeners(pid)[0]


def find_unix_listeners(pid: int) -> tuple[UnixListener, ...]:
    """The named stream sockets *pid* listens on; raises TargetGone, TargetForbidden."""
    return find_all_listeners(pid)[1]


def find_all_listeners(pid: int) -> tuple[tuple[Listener, ...], tuple[UnixListener, ...]]:
    """`find_listeners` and `find_unix_listeners` in one pass over the descriptors."""
    tcp = tuple(_iter_tcp_listeners(pid))
    unix = tuple(_iter_unix_listeners(pid))
    own = find_socket_inodes(pid)
    return (
        tuple(listener for listener in tcp if listener.inode in own),
        tuple(listener for listener in unix if listener.inode in own),
    )


def _iter_tcp_listeners(pid: int) -> Iterator[Listener]:
    """Everything that listens in the network namespace of *pid*."""
    for family in ("tcp", "tcp6"):
        for fields in _iter_lines(pid, family):
            # The kernel walks its listeners before all other sockets (net/ipv4/tcp_ipv4.c `tcp_seek_last_pos`,
            # `tcp_get_idx`): on a busy host the rest of the table is the expensive part.
            if len(fields) < 10 or fields[3] != _TCP_LISTEN:
                break
            with suppress(ValueError, struct.error):
                host, port = _decode_address(fields[1])
                yield Listener(host, port, int(fields[9]))


def _iter_unix_listeners(pid: int) -> Iterator[UnixListener]:
    for fields in _iter_lines(pid, "unix"):
        if len(fields) < 8 or fields[4] != _UNIX_STREAM:
            continue
        with suppress(ValueError):
            if int(fields[3], 16) & _UNIX_ACCEPTS:
                path = fields[7].rstrip(b"\n")
                raw = b"\0" + path[1:] if path.startswith(b"@") else path
                yield UnixListener(raw, int(fields[6]))


def find_socket_inodes(pid: int) -> frozenset[int]:
    """Inodes of the sockets among the descriptors of *pid*; raises TargetGone or TargetForbidden."""
    directory = f"/proc/{pid}/fd"
    inodes: set[int] = set()
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in os.listdir(handle):  # noqa: PTH208 - names for readlink below
                with suppress(FileNotFoundError):
                    link = os.readlink(name, dir_fd=handle)
                    if link.startswith(_SOCKET_PREFIX):
                        inodes.add(int(link[len(_SOCKET_PREFIX) : -1]))
        finally:
            os.close(handle)
    except OSError as error:
        raise target_error(pid, error) from None
    return frozenset(inodes)


def shares_network(pid: int) -> bool:
    """Whether *pid* lives in our network namespace; True when that cannot be told."""
    try:
        ours, theirs = os.stat("/proc/self/ns/net"), os.stat(f"/proc/{pid}/ns/net")  # noqa: PTH116
    except OSError:
        return True
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def _iter_lines(pid: int, table: str) -> Iterator[list[bytes]]:
    """The lines of `/proc/PID/net/table` as fields, without the heading; none where it does not exist."""
    try:
        with open(f"/proc/{pid}/net/{table}", "rb", buffering=1 << 17) as file:  # noqa: PTH123 - hot
            next(file, None)
            for number, line in enumerate(file):
                if number >= _LINE_LIMIT:
                    return
                # A path may hold blanks: the eighth field of `unix` is the rest of the line.
                yield line.split(None, 7) if table == "unix" else line.split()
    except FileNotFoundError:
        return  # no IPv6 in this kernel, or the process went: its descriptors will say so
    except OSError as error:
        raise target_error(pid, error) from None


def _decode_inet(family: str, fields: list[bytes]) -> Socket:
    local, remote = (format_address(*_decode_address(field)) for field in fields[1:3])
    tx_queue, _, rx_queue = fields[4].partition(b":")
    state = _TCP_STATES.get(int(fields[3], 16), "") if family.startswith("tcp") else ""
    return Socket(family, local, remote, state, int(rx_queue, 16), int(tx_queue, 16))


def _decode_unix(fields: list[bytes]) -> Socket:
    path = fields[7].rstrip(b"\n") if len(fields) > 7 else b""
    if int(fields[3], 16) & _UNIX_ACCEPTS:
        state = "LISTEN"
    else:
        state = "ESTABLISHED" if fields[5] == _UNIX_CONNECTED else ""
    return Socket("unix", printable(path.decode("utf-8", "surrogateescape")), "", state)


def _decode_address(field: bytes) -> tuple[str, int]:
    """`0100007F:1F90` → ("127.0.0.1", 8080): 32-bit words printed in the machine's byte order."""
    address, _, port = field.partition(b":")
    words = bytes.fromhex(address.decode("ascii"))
    if sys.byteorder == "little":
        words = struct.pack(f">{len(words) // 4}I", *struct.unpack(f"<{len(words) // 4}I", words))
    host = socket.inet_ntop(socket.AF_INET if len(words) == 4 else socket.AF_INET6, words)
    # A v4 peer of a dual-stack socket: `::ffff:10.0.0.1` is 10.0.0.1 to everyone who reads it.
    return host.removeprefix("::ffff:") if "." in host else host, int(port, 16)


def format_address(host: str, port: int) -> str:
    """`127.0.0.1:8080`, `[::1]:8080`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
