"""The build id, held to what the ELF notes say by another reader."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from leaktui.binary.build_id import read_build_id
from leaktui.binary.elf import ElfImage
from leaktui.engines.proc_build_id import read_process_build_id
from tests.go_toolchain import Toolchain, build


def notes(path: Path) -> dict[str, str]:
    """Build ids by the owner of their note."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        found = {}
        for name in (".note.gnu.build-id", ".note.go.buildid"):
            section = elf.get_section_by_name(name)
            for note in section.iter_notes() if section is not None else ():
                data = note["n_desc"]
                found[note["n_name"]] = data if isinstance(data, str) else data.decode()
        return found


@pytest.mark.go
@pytest.mark.parametrize("stripped", [False, True], ids=["symbols", "stripped"])
def test_the_linkers_id(matrix_toolchain: Toolchain, stripped: bool) -> None:
    binary = build("earlyreturn", matrix_toolchain, stripped=stripped)
    by_owner = notes(binary)
    with ElfImage.open(binary) as image:
        found = read_build_id(image)
    if "GNU" in by_owner:
        assert found == by_owner["GNU"]
    else:
        go = [matrix_toolchain.go, "tool", "buildid", binary]
        assert found == subprocess.run(go, capture_output=True, text=True, check=True).stdout.strip()


def test_no_process_and_none_that_can_be_read() -> None:
    assert read_process_build_id(None) == "" == read_process_build_id(4194303)
    assert isinstance(read_process_build_id(os.getpid()), str)
