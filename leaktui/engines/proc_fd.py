"""The open descriptors of a process: `/proc/PID/fd`, one link a descriptor.

Law: a leak may have made tens of thousands of them, so each costs one `readlink`, and a second call only
where the link is a path. A descriptor closed while we look is left out. A file's attributes are asked
for without waking its file server (AT_STATX_DONT_SYNC): a target that hangs on a dead NFS server must
not hang leaktui too.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from leaktui.engines.proc_net import find_sockets
from leaktui.engines.proc_stat import target_error
from leaktui.model.process import FdEntry, FdKind
from leaktui.text import printable

FD_LIMIT = 1 << 20
"""Descriptors looked at: fs.nr_open's default, which no process exceeds unless root raised it."""

_DELETED = " (deleted)"

# anon_inode names, as their file_operations' creators give them in the kernel.
_ANONYMOUS = {
    "eventpoll": FdKind.EPOLL,
    "eventfd": FdKind.EVENT,
    "timerfd": FdKind.EVENT,
    "signalfd": FdKind.EVENT,
    "inotify": FdKind.EVENT,
    "pidfd": FdKind.OTHER,
}


@dataclass(frozen=True, slots=True)
class _Attributes:
    mode: int
    inode: int
    links: int


def check_fds_readable(pid: int) -> None:
    """Raise TargetForbidden where `read_fds` would, without reading them all."""
    try:
        with os.scandir(f"/proc/{pid}/fd") as names:
            for name in names:
                with suppress(FileNotFoundError):
                    os.readlink(name.path)  # noqa: PTH115
                    return
    except OSError as error:
        raise target_error(pid, error) from None


def read_fds(pid: int) -> tuple[FdEntry, ...]:
    """Every open descriptor of *pid*, by number; raises TargetGone or TargetForbidden."""
    entries: list[FdEntry] = []
    sockets: dict[int, int] = {}
    try:
        directory = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            names = os.listdir(directory)[:FD_LIMIT]  # noqa: PTH208 - names for readlink below
            for name in sorted(names, key=int):
                try:
                    link = os.readlink(name, dir_fd=directory)
                except FileNotFoundError:
                    continue
                if link.startswith("socket:["):
                    sockets[len(entries)] = int(link[8:-1])
                    entries.append(FdEntry(int(name), FdKind.SOCKET, link, int(link[8:-1])))
                else:
                    entries.append(_entry(directory, name, link))
        finally:
            os.close(directory)
    except OSError as error:
        raise target_error(pid, error) from None
    if sockets:
        found = find_sockets(pid, frozenset(sockets.values()))
        for index, inode in sockets.items():
            bare = entries[index]
            entries[index] = FdEntry(bare.fd, bare.kind, bare.target, inode, found.get(inode))
    return tuple(entries)


def _entry(directory: int, name: str, link: str) -> FdEntry:
    """A descriptor that is not a socket."""
    fd = int(name)
    if link.startswith("pipe:["):
        return FdEntry(fd, FdKind.PIPE, link, int(link[6:-1]))
    if link.startswith("anon_inode:"):
        what = link.removeprefix("anon_inode:").strip("[]")
        return FdEntry(fd, _ANONYMOUS.get(what, FdKind.OTHER), printable(link))
    if not link.startswith("/"):
        return FdEntry(fd, FdKind.OTHER, printable(link))
    attributes = read_attributes()(directory, name)
    path, deleted = link, False
    if link.endswith(_DELETED):
        # A file may be called so: it is gone only if nothing links to it any more.
        deleted = attributes is None or attributes.links == 0
        path = link.removesuffix(_DELETED) if deleted else link
    if path.startswith("/memfd:"):
        path, deleted = path[1:], False
    kind = _kind_of(attributes.mode) if attributes else FdKind.FILE
    return FdEntry(fd, kind, printable(path), attributes.inode if attributes else 0, deleted=deleted)


def _kind_of(mode: int) -> FdKind:
    if stat.S_ISREG(mode):
        return FdKind.FILE
    if stat.S_ISDIR(mode):
        return FdKind.DIRECTORY
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return FdKind.DEVICE
    return FdKind.PIPE if stat.S_ISFIFO(mode) else FdKind.OTHER


@cache
def read_attributes() -> Callable[[int, str], _Attributes | None]:
    """A function (directory fd, name) → attributes of what the link leads to, None where it went."""
    try:
        statx = ctypes.CDLL(None, use_errno=True).statx
    except (OSError, AttributeError):
        return _stat_attributes  # a C library older than glibc 2.28 or musl 1.2
    buffer = ctypes.create_string_buffer(256)
    address = ctypes.addressof(buffer)
    lock = threading.Lock()
    statx.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]

    def read(directory: int, name: str) -> _Attributes | None:
        mask = 0x1 | 0x2 | 0x4 | 0x100  # STATX_TYPE, _MODE, _NLINK, _INO
        with lock:
            if statx(directory, name.encode(), 0x4000, mask, address) != 0:  # AT_STATX_DONT_SYNC
                return None
            links, mode, inode = _STATX.unpack_from(buffer)
        return _Attributes(mode, inode, links)

    return read


# struct statx, include/uapi/linux/stat.h: nlink u32 at 16, mode u16 at 28, ino u64 at 32.
_STATX = struct.Struct("=16x I 8x H 2x Q")


def _stat_attributes(directory: int, name: str) -> _Attributes | None:
    try:
        seen = os.stat(name, dir_fd=directory)
    except OSError:
        return None
    return _Attributes(seen.st_mode, seen.st_ino, seen.st_nlink)
