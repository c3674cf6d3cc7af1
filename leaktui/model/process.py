"""What the kernel says of a process."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FdKind(Enum):
    """What a file descriptor is."""

    FILE = "file"
    DIRECTORY = "directory"
    SOCKET = "socket"
    PIPE = "pipe"
    EPOLL = "epoll"
    EVENT = "event"
    DEVICE = "device"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket of the process, by its inode.

    `family` is `tcp`, `tcp6`, `udp`, `udp6` or `unix`; addresses are `host:port` (`[v6]:port`) or a
    unix path; `state` is the kernel's (`ESTABLISHED`, `LISTEN`, `CLOSE_WAIT`, …), empty where it has none.
    `rx_queue` and `tx_queue` are bytes waiting in the kernel.
    """

    family: str
    local: str
    remote: str
    state: str
    rx_queue: int = 0
    tx_queue: int = 0


@dataclass(frozen=True, slots=True)
class FdEntry:
    """One open descriptor. `target` is what `/proc/PID/fd/N` points at, made safe to print."""

    fd: int
    kind: FdKind
    target: str
    inode: int = 0
    socket: Socket | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """Counters of a process at one moment (bytes, seconds). None where /proc would not say."""

    rss_bytes: int
    vms_bytes: int
    threads: int
    cpu_seconds: float
    fd_count: int | None
    fd_limit: int | None
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP address the process listens on."""

    host: str
    port: int
    inode: int


@dataclass(frozen=True, slots=True)
class GoProcess:
    """A row of the picker and of `leaktui ps`. None where it could not be read."""

    pid: int
    user: str
    exe: str
    command: str
    go_version: str
    module: str
    age_seconds: float
    rss_bytes: int
    fd_count: int | None
    threads: int
    pprof_url: str | None = None
    goroutines: int | None = None
