"""The memory limit a control group puts on a process: what a container may use before it is killed.

Law: the lowest limit on the way from the process's group to the root counts. cgroup v2 says so file by
file (`memory.max`), v1 sums it up in `memory.stat` (`hierarchical_memory_limit`). A group that cannot
be seen from here (cgroup namespaces) gives None, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leaktui.engines.proc_stat import read_proc
from leaktui.errors import TargetForbidden

# v1 writes PAGE_COUNTER_MAX for "none": LONG_MAX rounded down to a page.
_NO_LIMIT = 1 << 60
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class CgroupMount:
    """A mounted hierarchy: `root` is the group that appears at `mount_point`."""

    root: str
    mount_point: str
    version: int


def find_memory_limit(pid: int) -> int | None:
    """Bytes the process's control group may use, None when there is no limit or it cannot be seen."""
    try:
        groups = read_proc(pid, "cgroup").decode("utf-8", "surrogateescape")
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except (OSError, TargetForbidden):
        return None
    return memory_limit_of(groups, mounts)


def memory_limit_of(cgroup_text: str, mountinfo_text: str) -> int | None:
    """The limit for a process whose `/proc/PID/cgroup` is *cgroup_text*, read through our own mounts."""
    mounts = tuple(iter_cgroup_mounts(mountinfo_text))
    limits: list[int] = []
    for line in cgroup_text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        version = 2 if not controllers else 1 if "memory" in controllers.split(",") else 0
        for mount in mounts:
            if mount.version == version:
                limit = _limit_under(mount, group)
                if limit is not None:
                    limits.append(limit)
    return min(limits, default=None)


def iter_cgroup_mounts(mountinfo_text: str) -> Iterator[CgroupMount]:
    """The v2 hierarchy and the v1 memory hierarchy among the mounts (proc_pid_mountinfo(5))."""
    for line in mountinfo_text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(fields) < 5 or len(kinds) < 1:
            continue
        root, mount_point = _unescape(fields[3]), _unescape(fields[4])
        if kinds[0] == "cgroup2":
            yield CgroupMount(root, mount_point, 2)
        elif kinds[0] == "cgroup" and len(kinds) >= 3 and "memory" in kinds[2].split(","):
            yield CgroupMount(root, mount_point, 1)


def _unescape(path: str) -> str:
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _limit_under(mount: CgroupMount, group: str) -> int | None:
    inside = PurePosixPath(group)
    if mount.root != "/":
        try:
            inside = PurePosixPath("/") / inside.relative_to(mount.root)
        except ValueError:
            return None
    if ".." in inside.parts:
        return None
    top = Path(mount.mount_point)
    directory = top / inside.relative_to("/")
    if mount.version == 1:
        return _v1_limit(directory)
    limits: list[int] = []
    for _ in range(_MAX_DEPTH):
        with suppress(OSError, ValueError):
            limits.append(int((directory / "memory.max").read_text()))
        if directory in (top, directory.parent):
            break
        directory = directory.parent
    return min(limits, default=None)


def _v1_limit(directory: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (directory / "memory.stat").read_text().splitlines():
            if line.startswith("hierarchical_memory_limit "):
                limit = int(line.split()[1])
                return limit if limit < _NO_LIMIT else None
    with suppress(OSError, ValueError):
        limit = int((directory / "memory.limit_in_bytes").read_text())
        return limit if limit < _NO_LIMIT else None
    return None
