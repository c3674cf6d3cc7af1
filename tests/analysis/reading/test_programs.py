"""The reason on every program of tests/goprograms and of the demo, and the changes compiled.

The programs hold both branches behind a flag, which is taken for what it is: a condition that may be false. So the
reading has to find the shape that leaks among lines that do not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import leaktui.demo
from leaktui.model.explanation import Explanation
from leaktui.model.finding import Confidence, Finding, LeakKind
from leaktui.model.frame import Frame
from leaktui.sources import SourceRoot, Sources
from tests.go_expected import Place, expected, leaking_programs
from tests.go_toolchain import PROGRAMS, Toolchain, go_environment

# program: reason, certain, a change is proposed
REASONS = {
    # bodies
    "amongstreams": ("never released", True, True),
    "clienttimeout": ("never released", True, True),
    "closurecallback": ("early return", False, True),
    "ctxcancel": ("never released", True, True),
    "decodeerror": ("early return", True, True),
    "deferloop": ("loop", True, True),
    "earlyreturn": ("early return", True, True),
    "errorpath": ("early return", True, True),
    "fanout": ("stored", True, False),
    "genericfetch": ("early return", True, True),
    "gzippart": ("wrapped", True, True),
    "http2large": ("never released", True, True),
    "interfacedoer": ("never released", True, True),
    "limitread": ("never released", True, True),
    "methodvalue": ("never released", True, True),
    "oauthwrap": ("early return", True, True),
    "otherpackage": ("early return", True, True),
    "panicrecovered": ("panic", False, True),
    "queuedrop": ("early return", True, True),
    "rareleak": ("early return", True, True),
    "readclosercaller": ("never released", True, True),
    "redirect": ("never released", True, True),
    "retryoverwrite": ("overwritten", True, True),
    "reverseproxy": ("overwritten", False, True),
    "roundtripper": ("overwritten", True, True),
    "shadowederr": ("never released", True, True),
    "statusprobe": ("never released", True, True),
    "storedinmap": ("stored", True, False),
    "thinwrapper": ("never released", True, True),
    "tlshttp1": ("never released", True, True),
    "unixsocket": ("never released", True, True),
    # fds
    "connleak": ("stored", True, False),
    "diropen": ("stored", True, False),
    "filenogc": ("never released", True, True),
    "filenotclosed": ("stored", True, False),
    "listenerleak": ("stored", True, False),
    "pipeleak": ("stored", True, False),
    # goroutines; where the flagged repair already is on the path, a second one could do harm
    "condwait": ("blocked", False, False),
    "forgottencancel": ("blocked", False, False),
    "mutexheld": ("blocked", True, False),
    "nilchannel": ("blocked", False, False),
    "semaphore": ("blocked", True, False),
    "sendaftertimeout": ("blocked", True, True),
    "subscriber": ("blocked", False, False),
    "waitgroup": ("blocked", True, False),
    "workerpool": ("blocked", False, False),
    # heap
    "cachegrowth": ("grows", False, False),
    "listgrowth": ("grows", False, False),
    "sliceappend": ("grows", False, False),
    "subslice": ("grows", True, True),
    "timers": ("stored", False, False),
}
SHOWN = {
    "earlyreturn": {39, 42},
    "errorpath": {60},
    "decodeerror": {27, 45},
    "deferloop": {30},
    "panicrecovered": {39},
    "queuedrop": {29, 37},
    "shadowederr": {29},
    "gzippart": {34},
    "retryoverwrite": {39},
    "waitgroup": {27},
    "mutexheld": {25},
    "sendaftertimeout": {20, 29},
}
"""Lines that have to be among the marks."""
DEMO = {"body": "early return", "goroutine": "blocked", "fd": "stored", "heap": "grows"}


def frame_of(place: Place) -> Frame:
    return Frame(place.function, f"/src/{place.file}", place.line)


def explain(program: str, root: Path = PROGRAMS) -> Explanation | None:
    answer = expected(program)
    assert answer is not None
    stack = tuple(frame_of(place) for place in (answer.place, *answer.also))
    started = frame_of(answer.created_by) if answer.created_by is not None else None
    finding = Finding(
        LeakKind(answer.kind), Confidence.PROVEN, answer.function, stack[0], stack, 9, created_by=started
    )
    return Sources([SourceRoot("/src", str(root))]).explain(finding)


def test_the_table_is_whole() -> None:
    assert set(REASONS) == set(leaking_programs())


@pytest.mark.parametrize("program", leaking_programs())
def test_the_reason_is_right(program: str) -> None:
    found = explain(program)
    assert found is not None
    assert (found.reason.value, found.certain, bool(found.diff)) == REASONS[program], found.text
    assert SHOWN.get(program, set()) <= {mark.line for mark in found.marks}, found.marks


@pytest.mark.go
def test_every_change_compiles(go_toolchain: Toolchain, tmp_path: Path) -> None:
    module = tmp_path / "module"
    shutil.copytree(PROGRAMS, module, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    changed = 0
    for program in leaking_programs():
        found = explain(program)
        assert found is not None
        if found.diff:
            apply(found, (module / found.file[5:]).parent)
            changed += 1
    assert changed == sum(change for _, _, change in REASONS.values())
    compile_module(go_toolchain, module)


def apply(found: Explanation, directory: Path) -> None:
    subprocess.run(
        ["patch", "-p1", "--fuzz=0", "--quiet"],
        input=found.diff,
        text=True,
        cwd=directory,
        check=True,
        timeout=30,
    )


def compile_module(toolchain: Toolchain, module: Path) -> None:
    done = subprocess.run(
        [str(toolchain.go), "vet", "./..."],
        cwd=module,
        capture_output=True,
        text=True,
        timeout=900,
        env=go_environment(),
    )
    assert done.returncode == 0, done.stderr[-4000:]


# -- the demo ----------------------------------------------------------------------------------------

SERVICE = Path(leaktui.demo.__file__).parent / "service"


def explain_demo(kind: str) -> Explanation | None:
    place: Frame | None = None
    started: Frame | None = None
    for source in sorted(SERVICE.glob("**/*.go")):
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
            if found := re.search(rf"// DEMO: {kind} (\S+)$", line):
                place = Frame(found[1], str(source), number)
            if kind == "goroutine" and (found := re.search(r"// DEMO: created-by (\S+)$", line)):
                started = Frame(found[1], str(source), number)
    assert place is not None
    names = {
        "body": LeakKind.HTTP_BODY,
        "goroutine": LeakKind.GOROUTINE,
        "fd": LeakKind.FD,
        "heap": LeakKind.HEAP,
    }
    finding = Finding(names[kind], Confidence.PROVEN, place.function, place, (place,), 9, created_by=started)
    return Sources().explain(finding)


@pytest.mark.parametrize("kind", DEMO)
def test_the_demo_is_explained(kind: str) -> None:
    found = explain_demo(kind)
    assert found is not None
    assert found.reason.value == DEMO[kind], found.text


@pytest.mark.go
def test_the_changes_to_the_demo_compile(go_toolchain: Toolchain, tmp_path: Path) -> None:
    module = tmp_path / "service"
    shutil.copytree(SERVICE, module)
    if not (module / "go.mod").exists():
        (module / "go.mod").write_text("module leaktui.demo\n\ngo 1.22\n", encoding="utf-8")
    for kind in DEMO:
        found = explain_demo(kind)
        assert found is not None
        if found.diff:
            apply(found, module / Path(found.file).parent.relative_to(SERVICE))
    compile_module(go_toolchain, module)
