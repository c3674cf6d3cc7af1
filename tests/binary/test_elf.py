"""Files that are no Go executables, or damaged ones: one clear exception, nothing else."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaktui.binary.callsites import find_call_sites
from leaktui.binary.elf import ElfImage
from leaktui.binary.executable import Executable
from leaktui.errors import DecodeError, LeaktuiError, NotGo, TargetForbidden, TargetGone, Truncated
from tests.binary.go_builds import Builder


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path: write(path, b""),
        lambda path: write(path, b"\x7fEL"),
        lambda path: write(path, b"#!/bin/sh\nexit 0\n"),
        lambda path: write(path, b"MZ" + bytes(500)),
        lambda path: path.mkdir() or path,
        lambda path: os.mkfifo(path) or path,
    ],
    ids=["empty", "three bytes", "script", "PE", "directory", "FIFO"],
)
def test_no_elf_file(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(NotGo) as caught:
        Executable.open(make(tmp_path / "file"))
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_elf_file_without_go() -> None:
    program = shutil.which("true")
    if program is None or Path(program).read_bytes()[:4] != b"\x7fELF":
        pytest.skip("no ELF executable called true")
    with pytest.raises(NotGo, match="not built by the Go toolchain"):
        Executable.open(program)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(TargetGone, match="does not exist"):
        Executable.open(tmp_path / "nothing")
    with pytest.raises(TargetGone):
        Executable.open("/proc/4194305/exe")  # above the largest pid
    with pytest.raises(TargetGone):
        Executable.open("a\0b")


def test_forbidden(tmp_path: Path) -> None:
    path = write(tmp_path / "secret", b"\x7fELF")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read anything
    try:
        with pytest.raises(TargetForbidden, match="no permission"):
            Executable.open(path)
    finally:
        os.seteuid(user)


def test_control_characters_in_a_path_are_not_printed(tmp_path: Path) -> None:
    with pytest.raises(TargetGone) as caught:
        Executable.open(tmp_path / "a\x1b[31mb")
    assert "\x1b" not in str(caught.value)


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_after_the_elf_magic(tmp_path: Path, tail: bytes) -> None:
    path = write(tmp_path / "garbage", b"\x7fELF" + tail)
    with pytest.raises((DecodeError, NotGo)):
        Executable.open(path)


def test_a_header_that_announces_a_quintillion_sections(tmp_path: Path) -> None:
    """e_shnum 0 means: look into section 0 for the count (gABI, "ELF Header")."""
    header = bytearray(128)
    header[:16] = b"\x7fELF\x02\x01\x01" + bytes(9)
    struct.pack_into("<HHIQQQIHHHHHH", header, 16, 2, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, 0, 0)
    struct.pack_into("<Q", header, 64 + 32, 1 << 60)  # sh_size of section 0
    with pytest.raises(DecodeError, match="headers"):
        Executable.open(write(tmp_path / "many", bytes(header)))


@pytest.fixture(scope="module")
def tiny(builder: Builder) -> Path:
    return builder("tiny", "plain")


def exercise(path: Path) -> None:
    """Everything that reads the file."""
    with Executable.open(path) as exe:
        exe.find_symbol("runtime.text")
        exe.outputs_of("main.outer")
        function = exe.find_function("main.outer")
        table = exe.pc_lines
        for pc in range(table.text_start, min(table.text_end, table.text_start + (1 << 20)), 4099):
            exe.function_at(pc)
            exe.frames_at(pc)
        if function is not None:
            find_call_sites(exe, [function.name, "main.inner"])
        assert exe.cgo in (False, True) and exe.goroot is not None


@pytest.mark.go
@pytest.mark.parametrize("share", [0.0001, 0.01, 0.2, 0.5])
def test_truncated(tiny: Path, share: float, tmp_path: Path) -> None:
    data = tiny.read_bytes()
    with pytest.raises((DecodeError, NotGo)) as caught:
        exercise(write(tmp_path / "cut", data[: int(len(data) * share)]))
    assert "\n" not in str(caught.value)


@pytest.mark.go
def test_truncated_behind_what_the_kernel_loads(tiny: Path, tmp_path: Path) -> None:
    """Debug information and section headers are at the end; what runs does not need them."""
    with Executable.open(tiny) as exe:
        end = max(load.offset + load.file_size for load in exe.image.loads)
        whole = exe.find_function("main.outer")
        path = write(tmp_path / "cut", tiny.read_bytes()[:end])
        with Executable.open(path) as cut:
            assert whole is not None and cut.find_function("main.outer") == whole
            assert cut.frames_at(whole.entry + 40) == exe.frames_at(whole.entry + 40)
            assert cut.outputs_of("main.outer") is None


@pytest.mark.go
def test_cut_short_while_open(tiny: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "shrinks", tiny.read_bytes())
    with Executable.open(path) as exe:
        os.truncate(path, 4096)
        with pytest.raises(Truncated, match="shrank"):
            exe.find_function("main.main")


@pytest.mark.go
def test_closed(tiny: Path) -> None:
    exe = Executable.open(tiny)
    exe.close()
    exe.close()
    with pytest.raises(DecodeError, match="closed"):
        exe.find_function("main.main")


@pytest.mark.go
@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes(tiny: Path, seed: int, tmp_path: Path) -> None:
    """Headers, tables and debug information with random bytes in them never raise anything of their own."""
    chance = random.Random(seed)
    data = bytearray(tiny.read_bytes())
    with ElfImage.open(tiny) as image:
        sections = [image.sections[name] for name in (".gopclntab", ".debug_abbrev", ".symtab", ".strtab")]
        regions = [(0, 2048), *((section.offset, section.size) for section in sections)]
    for start, size in chance.sample(regions, 2):
        near = min(size, chance.choice([64, 4096, size]))
        for _ in range(chance.choice([1, 8, 200])):
            data[start + chance.randrange(near)] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    try:
        exercise(write(tmp_path / "flipped", bytes(data)))
    except LeaktuiError as error:
        assert "\n" not in str(error)
