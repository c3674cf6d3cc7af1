"""Function tables, lines and inlined calls, against what the programs know of themselves."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from leaktui.binary.executable import Executable
from leaktui.model.frame import Frame
from leaktui.model.target import Module
from tests.binary.go_builds import PROGRAMS, Builder, all_stripped, without_section_headers

pytestmark = pytest.mark.go

Told = list[tuple[str, str, int, bool]]

SHAPES = ("plain", "stripped", "pie", "pie-stripped", "trimmed", "cgo", "cgo-pie")
ALTERED = {"all-stripped": all_stripped, "no-section-headers": without_section_headers}


def told_by_go(frames: list[dict[str, Any]] | None) -> Told:
    """Go prints `?` for a file it does not know."""
    return [
        (frame["Function"], frame["File"].replace("?", ""), frame["Line"], frame["Inlined"])
        for frame in frames or []
    ]


def told_by_us(frames: tuple[Frame, ...]) -> Told:
    return [(frame.function, frame.file, frame.line, frame.inlined) for frame in frames]


def check_census(builder: Builder, path: Path, *, run: Path | None = None) -> None:
    """Every frame the census program printed is the frame we find in *path*."""
    truth = builder.run(run or path)
    with Executable.open(path) as exe:
        bias = exe.bias(truth["Maps"].replace(str(run), str(path)))
        assert bias is not None
        assert len(truth["Text"]) > 5000
        nameless = 0
        inlined = 0
        for place in truth["Text"]:
            told, ours = told_by_go(place["Frames"]), told_by_us(exe.frames_at(place["PC"], bias=bias))
            function = exe.function_at(place["PC"] - bias)
            assert function is not None and function.entry + bias == place["Entry"]
            if told != ours:
                # The runtime has no name for whatever is at offset 0 of the name table (runtime.funcname),
                # and before Go 1.23 told only the innermost of the calls at a lone pc.
                first_only = builder.toolchain.release < (1, 23) and told == ours[:1]
                assert first_only or len(told) == len(ours) - 1, (hex(place["PC"]), told, ours)
                nameless += not first_only
            inlined += len(ours) > 1
        assert nameless <= 8
        assert inlined > 500
        for stack in truth["Stacks"]:
            # runtime.Callers gives a pc for every inlined call too; the first of them stands for all.
            ours, position = [], 0
            while position < len(stack["PCs"]):
                frames = exe.frames_at(stack["PCs"][position], bias=bias)
                ours += told_by_us(frames)
                position += len(frames)
            assert ours == told_by_go(stack["Frames"])
        for name, entry in truth["Entries"].items():
            function = exe.find_function(name)
            assert function is not None and function.entry + bias == entry


@pytest.mark.parametrize("flavour", SHAPES)
def test_frames_are_the_runtimes_own(matrix_builder: Builder, flavour: str) -> None:
    check_census(matrix_builder, matrix_builder("census", flavour))


@pytest.mark.parametrize("flavour", ["plain", "pie"])
@pytest.mark.parametrize("altered", sorted(ALTERED))
def test_frames_without_symbols_or_sections(
    matrix_builder: Builder, flavour: str, altered: str, tmp_path: Path
) -> None:
    path = matrix_builder("census", flavour)
    check_census(matrix_builder, ALTERED[altered](path, tmp_path / altered), run=path)


@pytest.mark.parametrize("goarch", ["386", "arm64", "s390x"])
def test_other_architectures_agree_with_addr2line(builder: Builder, goarch: str) -> None:
    """32-bit words, a quantum of 4, and big-endian tables."""
    path = builder("tiny", goarch=goarch)
    with Executable.open(path) as exe:
        assert exe.machine == goarch
        table = exe.pc_lines
        places = random.Random(1).sample(range(table.text_start, table.text_end, 4), 1500)
        lines = builder.tool("addr2line", path, text="\n".join(map(hex, places))).splitlines()
        unknown = 0
        for number, pc in enumerate(places):
            name, line = lines[2 * number : 2 * number + 2]
            function = exe.function_at(pc)
            frames = exe.frames_at(pc, return_address=False)
            assert function is not None and function.name == name
            # A compiler-made wrapper around an inlined method is left out of the frames.
            assert frames[-1].inlined or frames[-1].function.split("[")[0] == name.split("[")[0]
            if line.endswith(":-1"):
                unknown += 1
                assert not frames[0].line
            else:
                assert f"{frames[0].file or '?'}:{frames[0].line}" == line
        assert unknown < 150


def test_functions_are_those_of_go_tool_nm(builder: Builder) -> None:
    path = builder("census", "plain")
    listed = set()
    for line in builder.tool("nm", "-type", path).splitlines():
        address, kind, name = line.split(None, 2)
        if kind in ("T", "t") and not name.startswith(("runtime.text", "runtime.etext")):
            listed.add((int(address, 16), name))
    with Executable.open(path) as exe:
        # nm shows the middle dot of names the compiler numbers as a dot.
        ours = {(function.entry, function.name.replace("·", ".")) for function in exe.iter_functions()}
    assert len(ours) > 4000
    # It marks the ABI of assembly functions, and lists the build id, which is no function.
    assert {name for _, name in ours} == {name.removesuffix(".abi0") for _, name in listed} - {"go:buildid"}
    assert {entry for entry, _ in ours} == {entry for entry, name in listed if name != "go:buildid"}


def test_find_function(builder: Builder) -> None:
    with Executable.open(builder("census", "stripped")) as exe:
        fetch = exe.find_function("main.fetch")
        assert fetch is not None
        assert fetch.file == str(PROGRAMS / "census" / "main.go")
        source = Path(fetch.file).read_text().splitlines()
        assert source[fetch.line - 1].startswith("func fetch(")
        assert exe.function_at(fetch.entry) == exe.function_at(fetch.end - 1) == fetch
        assert exe.find_function("main.nothing") is None
        assert exe.find_function("fetch") is None
        assert exe.find_function("") is None
        generic = exe.find_function("main.generic[...]")
        assert generic is not None and generic.name.startswith("main.generic[go.shape.")
        assert [function.name for function in exe.iter_functions("main.fetch")] == ["main.fetch"]


def test_addresses_outside_the_text(builder: Builder) -> None:
    with Executable.open(builder("census", "stripped")) as exe:
        for pc in (0, 1, exe.pc_lines.text_start - 1, exe.pc_lines.text_end, 1 << 63):
            assert exe.function_at(pc) is None
            assert exe.frames_at(pc) == ()
            assert exe.frames_at(pc, return_address=False) == ()


def test_a_return_address_belongs_to_the_call_before_it(builder: Builder) -> None:
    with Executable.open(builder("census", "plain")) as exe:
        fetch = exe.find_function("main.fetch")
        assert fetch is not None
        # At its very entry there is no call before: the address is taken as it is.
        assert exe.frames_at(fetch.entry)[-1].function == "main.fetch"
        assert exe.frames_at(fetch.end, return_address=True)[-1].function != "main.fetch"
        frame = exe.frames_at(fetch.entry + 20, bias=0)[0]
        assert frame.pc == fetch.entry + 20


@pytest.mark.parametrize(
    ("flavour", "stripped", "dwarf", "pie", "cgo"),
    [
        ("plain", False, True, False, False),
        ("stripped", True, False, False, False),
        ("pie", False, True, True, False),
        ("cgo", False, True, False, True),
    ],
)
def test_what_it_is(
    builder: Builder, flavour: str, stripped: bool, dwarf: bool, pie: bool, cgo: bool
) -> None:
    with Executable.open(builder("census", flavour)) as exe:
        assert (exe.stripped, exe.has_dwarf, exe.pie, exe.cgo) == (stripped, dwarf, pie, cgo)
        assert exe.machine == "amd64"
        assert ".text" in exe.sections
        assert exe.build.go_version == f"go{builder.toolchain.version}"
        assert exe.build.main_package == "census"
        assert exe.build.module == Module("census", "(devel)")
        assert ("-buildmode", "pie" if pie else "exe") in exe.build.settings


def test_build_info_without_section_headers(builder: Builder, tmp_path: Path) -> None:
    for flavour in ("plain", "pie-stripped"):
        path = builder("census", flavour)
        with (
            Executable.open(path) as whole,
            Executable.open(without_section_headers(path, tmp_path / flavour)) as exe,
        ):
            assert exe.build == whole.build
            assert not exe.sections and exe.stripped and not exe.has_dwarf


def test_c_functions_have_names(builder: Builder) -> None:
    with Executable.open(builder("census", "cgo")) as exe:
        symbol = exe.find_symbol("x_cgo_init")
        assert symbol is not None and symbol.is_function
        function = exe.function_at(symbol.address + 1)
        assert function is not None and function.name == "x_cgo_init"
        assert exe.frames_at(symbol.address + 1)[0].function == "x_cgo_init"
        data = exe.find_symbol("runtime.firstmoduledata")
        assert data is not None and not data.is_function
        assert exe.find_symbol("no such symbol") is None


def test_goroot_is_where_the_standard_library_was(builder: Builder) -> None:
    with (
        Executable.open(builder("census", "stripped")) as exe,
        Executable.open(builder("census", "trimmed")) as trimmed,
    ):
        said = subprocess.run(
            [builder.toolchain.go, "env", "GOROOT"], capture_output=True, text=True, check=True
        )
        assert exe.goroot == f"{said.stdout.strip()}/src"
        assert trimmed.goroot == ""


@pytest.mark.parametrize("flavour", ["plain", "pie"])
def test_module_data_is_the_runtimes(matrix_builder: Builder, flavour: str) -> None:
    with Executable.open(matrix_builder("census", flavour)) as exe:
        symbol, text, types = map(
            exe.find_symbol, ("runtime.firstmoduledata", "runtime.text", "runtime.types")
        )
        module = exe.module_data
        assert module is not None and symbol is not None and text is not None and types is not None
        assert (module.address, module.text, module.types) == (symbol.address, text.address, types.address)
        assert module.etext >= exe.pc_lines.text_end


def test_of_a_running_process(builder: Builder) -> None:
    path = builder("census", "pie")
    with subprocess.Popen([path, "--wait"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            with Executable.open(f"/proc/{process.pid}/exe") as exe:
                bias = exe.bias(Path(f"/proc/{process.pid}/maps").read_text())
                assert bias is not None and bias % 4096 == 0 and bias != 0
                entry = exe.find_function("main.main")
                assert entry is not None
                with Path(f"/proc/{process.pid}/mem").open("rb", buffering=0) as memory:
                    memory.seek(entry.entry + bias)
                    code = memory.read(16)
                offset = exe.file_offset(entry.entry)
                assert offset is not None
                assert path.read_bytes()[offset : offset + 16] == code
        finally:
            process.kill()
