"""Memory readers: whole reads or an error that says whose."""

from __future__ import annotations

import ctypes
import errno
import os

import pytest

from leaktui.engines.memory.reader import (
    PAGE,
    READ_LIMIT,
    CachedMemory,
    FakeMemory,
    MemoryReader,
    ProcessMemory,
    Unreadable,
    explain_refusal,
)
from leaktui.errors import DecodeError, LimitExceeded, TargetForbidden, TargetGone


def test_a_process_reads_its_own_memory() -> None:
    buffer = ctypes.create_string_buffer(b"here it is", 64)
    memory = ProcessMemory(os.getpid())
    assert memory.read(ctypes.addressof(buffer), 10) == b"here it is"
    memory.close()
    memory.close()
    with pytest.raises(TargetGone):
        memory.read(ctypes.addressof(buffer), 10)


@pytest.mark.parametrize("address", [0, 8, 1 << 47, (1 << 63) - 4, 1 << 63, (1 << 64) - 8, -8])
def test_what_is_not_mapped_is_unreadable(address: int) -> None:
    memory = ProcessMemory(os.getpid())
    with pytest.raises(Unreadable):
        memory.read(address, 8)
    memory.close()


def test_reads_are_bounded() -> None:
    for memory in (ProcessMemory(os.getpid()), FakeMemory({})):
        reader: MemoryReader = memory
        with pytest.raises(LimitExceeded):
            reader.read(1 << 20, READ_LIMIT + 1)


def test_a_missing_process_is_gone() -> None:
    with pytest.raises(TargetGone):
        ProcessMemory((1 << 22) - 1)


def test_a_refusal_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    error = OSError(errno.EACCES, "no")
    for user, scope, remedy in (
        (os.geteuid(), 0, "sudo"),
        (os.geteuid(), 1, "ptrace_scope=0"),
        (os.geteuid(), 3, "pprof"),
    ):
        monkeypatch.setattr("leaktui.engines.memory.reader._yama_scope", lambda scope=scope: scope)
        monkeypatch.setattr("leaktui.engines.memory.reader.os.geteuid", lambda: 4711)
        monkeypatch.setattr("leaktui.engines.memory.reader._owner_of", lambda pid: 4711)
        refusal = explain_refusal(os.getpid(), error)
        assert isinstance(refusal, TargetForbidden), user
        assert remedy in refusal.remedy
    monkeypatch.setattr("leaktui.engines.memory.reader.os.geteuid", lambda: 0)
    assert "SYS_PTRACE" in explain_refusal(os.getpid(), error).remedy


def test_the_cache_asks_once_a_page() -> None:
    fake = FakeMemory({PAGE: bytes(range(256)) * 48})
    cached = CachedMemory(fake)
    assert cached.read(PAGE + 3, 4) == bytes((3, 4, 5, 6))
    assert cached.read(PAGE + 200, 4) == bytes((200, 201, 202, 203))
    assert fake.reads == 1
    assert cached.read(2 * PAGE - 2, 4) == bytes((254, 255, 0, 1))
    assert fake.reads == 2
    assert cached.read(PAGE, 2 * PAGE) == bytes(range(256)) * 32
    fake.regions[PAGE] = bytes(3 * PAGE)
    assert cached.read(PAGE + 3, 1) == b"\3"
    cached.clear()
    assert cached.read(PAGE + 3, 1) == b"\0"


def test_the_fake_gives_regions_and_nothing_else() -> None:
    fake = FakeMemory({100: b"abcdef", 200: b"xyz"})
    assert fake.read(102, 3) == b"cde"
    assert fake.read(200, 3) == b"xyz"
    for address, size in ((99, 2), (104, 3), (203, 1)):
        with pytest.raises(DecodeError):
            fake.read(address, size)
