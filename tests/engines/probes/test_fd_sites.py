"""Where the probes of descriptors and of large allocations lie, on every release; what they say where they cannot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.binary.runtime_types import RuntimeTypes
from leaktui.engines.memory.attachment import Attachment, attach
from leaktui.engines.probes.allocation_sites import LARGE, AllocationEvent, find_allocation_sites
from leaktui.engines.probes.fd_sites import FdEvent, find_fd_sites
from leaktui.errors import EngineUnavailable
from tests.engines.probes.fd_programs import build_program, run_program
from tests.go_toolchain import Toolchain

pytestmark = pytest.mark.go


@contextmanager
def attached(binary: Path) -> Iterator[Attachment]:
    with run_program(binary) as program:
        attachment = attach(program.pid, threading.Event())
        try:
            yield attachment
        finally:
            attachment.close()


@pytest.mark.parametrize("flavour", ["plain", "stripped"])
def test_everything_the_program_uses_has_a_site(flavour: str, matrix_toolchain: Toolchain) -> None:
    with attached(build_program("oddfds", flavour, matrix_toolchain)) as attachment:
        found = find_fd_sites(attachment)
        linked = set(attachment.executable.pc_lines.iter_names("os.new"))
        wanted = {FdEvent.INIT, FdEvent.CLOSE}
        if "os.newRoot" in linked:
            wanted.add(FdEvent.ROOT)
        if "os.newHandleProcess" in linked:
            wanted.add(FdEvent.PROCESS)
        assert {site.event for site in found.sites} == {event.value for event in wanted}
        assert len(found.sites) == len(wanted)
        assert found.collector
        assert found.unseen == ()
        allocations = find_allocation_sites(attachment, LARGE)
        assert [site.event for site in allocations] == [AllocationEvent.CALL.value]
        for site in (*found.sites, *allocations):
            assert attachment.memory.read(site.address, 1) == bytes([site.byte])
            assert attachment.executable.image.read_at(site.file_offset, 1) == bytes([site.byte])


def test_what_the_program_does_not_use_has_none(go_toolchain: Toolchain) -> None:
    with attached(build_program("large", "stripped", go_toolchain)) as attachment:
        events = {site.event for site in find_fd_sites(attachment).sites}
    assert events == {FdEvent.INIT.value, FdEvent.CLOSE.value}


def test_unknown_layouts_are_refused(go_toolchain: Toolchain) -> None:
    with attached(build_program("large", "stripped", go_toolchain)) as attachment:
        blind = replace(attachment, layout=replace(attachment.layout, types=RuntimeTypes(b"", 0)))
        with pytest.raises(EngineUnavailable, match=r"runtime\.g"):
            find_fd_sites(blind)
        with pytest.raises(EngineUnavailable, match=r"runtime\.mspan"):
            find_allocation_sites(blind, LARGE)
