"""Where an executable was loaded, from the text of /proc/PID/maps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from leaktui.binary.elf import ElfImage, Segment
from leaktui.binary.executable import Executable
from leaktui.binary.loadmap import find_bias
from tests.binary.go_builds import Builder

pytestmark = pytest.mark.go

LIBRARY = "7f0000000000-7f0000001000 r-xp 00000000 fe:00 77 /usr/lib/libc.so.6\n"


def mapped(exe: Executable, bias: int, *, inode: int, path: str) -> str:
    """The lines the kernel would show, each segment a mapping of whole pages."""
    lines = []
    for load in exe.image.loads:
        start = (load.address + bias) // 4096 * 4096
        end = -(-(load.address + bias + load.file_size) // 4096) * 4096
        lines.append(f"{start:x}-{end:x} r--p {load.offset // 4096 * 4096:08x} fe:00 {inode} {path}\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def pie(builder: Builder) -> Path:
    return builder("tiny", "pie")


def test_not_relocatable(builder: Builder) -> None:
    with Executable.open(builder("tiny", "plain")) as exe:
        assert exe.bias("") == 0


def test_by_inode_though_the_path_is_another(pie: Path) -> None:
    with Executable.open(pie) as exe:
        inode = exe.image.inode
        other = mapped(exe, 0x1000_0000, inode=inode + 1, path=str(pie))
        own = mapped(exe, 0x5555_0000, inode=inode, path="/app (deleted)")
        assert exe.bias(LIBRARY + other + own) == 0x5555_0000
        assert exe.bias(own + other) == 0x5555_0000


def test_by_path_where_inodes_differ(pie: Path) -> None:
    """Overlay file systems show another inode in maps than stat gives."""
    with Executable.open(pie) as exe:
        twin = mapped(exe, 0x1000_0000, inode=5, path="/somewhere/else")
        own = mapped(exe, 0x5555_0000, inode=6, path=f"{pie} (deleted)")
        assert exe.bias(twin + own) == 0x5555_0000


def test_neighbours_joined_by_the_kernel(pie: Path) -> None:
    """Once RELRO has split a mapping, its rest may be joined with the next segment's."""
    with Executable.open(pie) as exe:
        first, *_, last = exe.image.loads
        base = 0x7000_0000
        start, end = first.address + base, last.address + base + last.file_size
        if first.offset - first.address == last.offset - last.address:
            text = f"{start:x}-{end:x} r--p {first.offset:08x} fe:00 6 {pie}\n"
            assert exe.bias(text) == base
        else:
            early = last.address + base - 4096
            text = mapped(exe, base, inode=6, path=str(pie)).splitlines(keepends=True)[:-1]
            text.append(f"{early:x}-{end:x} rw-p {last.offset - 4096:08x} fe:00 6 {pie}\n")
            assert exe.bias("".join(text)) == base


@pytest.mark.parametrize(
    "text",
    [
        "",
        LIBRARY,
        "nonsense\n",
        "a-b-c r--p 0 fe:00 1 x\n",
        "zz-1 r--p 0 fe:00 1 /x\n",
        "1-2 r--p 0 0:0 0 /x",
    ],
)
def test_not_mapped(pie: Path, text: str) -> None:
    with Executable.open(pie) as exe:
        assert exe.bias(text) is None


def test_partly_mapped(pie: Path) -> None:
    with Executable.open(pie) as exe:
        text = mapped(exe, 0x1000, inode=1, path=str(pie)).splitlines(keepends=True)
        assert exe.bias("".join(text[:-1])) is None


def test_segments_that_share_a_page_of_the_file() -> None:
    """As the C linker lays a PIE out: the file page in which one segment ends begins the next, a page further up."""
    loads = (
        Segment("PT_LOAD", 0x0, 0x0, 0x19910, 0x19910, False, False),
        Segment("PT_LOAD", 0x1AE30, 0x19E30, 0x1331, 0x1331, True, False),
    )
    image = cast(ElfImage, SimpleNamespace(relocatable=True, loads=loads, inode=5, path="/srv/app"))
    bias = 0x5555_0000_0000
    maps = (
        f"{bias:x}-{bias + 0x1A000:x} r--p 00000000 fe:00 5 /srv/app\n"
        f"{bias + 0x1A000:x}-{bias + 0x1D000:x} rw-p 00019000 fe:00 5 /srv/app\n"
    )
    assert find_bias(image, maps) == bias
