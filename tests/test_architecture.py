"""What keeps the house in order: the staircase, what is imported when, and papers that tell the truth."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import ROOT, environment

PACKAGE = ROOT / "leaktui"
LONGEST_MODULE = 450
"""Lines that are neither blank nor a comment."""

HEAVY = ("textual", "rich", "httpx", "httpcore", "google.protobuf", "elftools", "asyncio")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def loaded_by(statement: str) -> set[str]:
    """Which of HEAVY a fresh interpreter has loaded after *statement*."""
    ask = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, env=environment(), check=True
    )
    return set(said.stdout.splitlines()[-1].split())


# -- what is imported when -----------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_a_quick_question_loads_nothing_heavy(option: str) -> None:
    statement = f"import leaktui.cli\nassert leaktui.cli.main([{option!r}]) == 0"
    assert loaded_by(statement) == set()


@pytest.mark.parametrize(
    "module",
    [
        "leaktui.cli.diagnosing",
        "leaktui.cli.examining",
        "leaktui.cli.listing",
        "leaktui.cli.screens",
        "leaktui.cli.spanning",
        "leaktui.cli.demonstrating",
        "leaktui.diagnose",
        "leaktui.investigation",
        "leaktui.report.markdown_form",
        "leaktui.report.html_form",
        "leaktui.report.pprof_form",
    ],
)
def test_the_core_is_reached_without_the_screens(module: str) -> None:
    assert loaded_by(f"import {module}").isdisjoint({"textual", "asyncio"})


def test_the_http_client_comes_with_the_first_request() -> None:
    assert loaded_by("import leaktui.engines.pprof").isdisjoint({"httpx", "httpcore"})


def test_every_module_can_be_imported() -> None:
    for path in modules():
        if path.name != "__main__.py":
            importlib.import_module(name_of(path))


# -- the staircase -------------------------------------------------------------------------------


def test_the_staircase_holds() -> None:
    tool = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    assert tool is not None, "import-linter belongs to the test extra"
    said = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, env=environment())
    assert said.returncode == 0, said.stdout


def test_the_readmes_picture_is_the_staircase() -> None:
    """Every floor of the contract is in the README's picture and in the tree, in the same order."""
    # Python 3.10 reads no TOML, but a TOML list of strings is a Python list too.
    layers = re.search(
        r"^layers = (\[.*?^\])", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE
    )
    assert layers is not None
    floors = [
        [room.strip(" ()") for room in re.split("[|:]", floor)] for floor in ast.literal_eval(layers[1])
    ]
    picture = fenced_after("<!-- staircase -->")
    drawn = [line.split()[0] for line in picture.splitlines() if line[:1].strip()]
    for room in drawn:
        assert (PACKAGE / room).exists(), f"{room} is drawn, but not there"
        assert (PACKAGE / room).is_dir() == room.endswith("/"), room
    rooms = [re.sub(r"/$|\.py$", "", room) for room in drawn]
    assert sorted(rooms) == sorted(room for floor in floors for room in floor)
    level = {room: number for number, floor in enumerate(floors) for room in floor}
    assert [level[room] for room in rooms] == sorted(level.values())


# -- modules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_says_what_it_is_and_fits_in_the_head(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    assert len(lines) <= LONGEST_MODULE, f"{path} has grown too long: give one of its nouns a file of its own"


def test_names_say_what_they_hold() -> None:
    vague = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "stuff"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in vague]


# -- papers --------------------------------------------------------------------------------------


def fenced_after(mark: str) -> str:
    """The fenced block that follows *mark* in the README."""
    found = re.search(re.escape(mark) + r"\n```\w*\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None, f"no block after {mark}"
    return found[1]


def test_the_readme_has_two_commands_each_one_line() -> None:
    for mark in ("<!-- command: demo -->", "<!-- command: test -->"):
        assert "\n" not in fenced_after(mark)
    assert fenced_after("<!-- command: demo -->").endswith(".venv/bin/leaktui demo")
    assert fenced_after("<!-- command: test -->").endswith(".venv/bin/pytest")


def test_ci_runs_the_readmes_test_command(tmp_path: Path) -> None:
    """`.ci/run` cuts the command out of the README: the cut must be the whole command."""
    script = (ROOT / ".ci" / "run").read_text()
    cut = re.search(r"^test_command=\$\((.*)\)$", script, re.MULTILINE)
    assert cut is not None
    said = subprocess.run(["bash", "-c", cut[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == fenced_after("<!-- command: test -->")
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0
    assert script.rstrip().splitlines()[-1].startswith("exec bash"), "pytest has the last word"


def test_every_option_the_readme_names_exists() -> None:
    from leaktui.cli.arguments import build_parser

    known = set(re.findall(r"--[a-z][a-z-]+", build_parser().format_help()))
    for name in ("diagnose", "doctor", "ps", "spans", "trace", "record", "verify", "demo"):
        said = subprocess.run(
            [sys.executable, "-m", "leaktui", name, "--help"],
            capture_output=True,
            text=True,
            env=environment(),
        )
        known |= set(re.findall(r"--[a-z][a-z-]+", said.stdout))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / "README.md").read_text()))
    assert named - known <= {"--matrix"}


def test_pictures_of_the_readme_exist() -> None:
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / picture).is_file(), picture


def test_what_changed_is_written_down() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]$", changelog, re.MULTILINE)


def tracked_files() -> Iterator[Path]:
    """Files of the repository; without one, those of the source tree."""
    said = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if said.returncode == 0:
        yield from (ROOT / name.decode() for name in said.stdout.split(b"\0") if name)
    else:
        yield from (path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts)


def test_no_file_names_the_machine_it_was_written_on() -> None:
    here = {str(ROOT), str(Path.home()), sys.prefix} - {"/"}
    places = "|".join(re.escape(place) for place in sorted(here))
    home = re.compile(rf"(?<![\w./-])(?:{places}|/work|/root)/[\w.]".encode())
    found = []
    for path in tracked_files():
        if not path.is_file() or path.suffix in (".gz", ".bin", ".png", ".pb", ".trace"):
            continue
        found += [f"{path}: {hit.group()!r}" for hit in home.finditer(path.read_bytes())]
    assert not found
