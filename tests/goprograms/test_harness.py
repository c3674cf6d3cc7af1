"""The harness itself: marks that cannot be right are refused, and a dead target is never overlooked."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.go_expected import Place, read_marks
from tests.go_target import GoProcess, Peer, TargetDied, run_target
from tests.go_toolchain import BuildFailed, Toolchain, build, program_directory


def write_program(module: Path, text: str) -> Path:
    directory = module / "bodies" / "sample"
    directory.mkdir(parents=True)
    (directory / "main.go").write_text(text)
    return directory


def test_marks_are_read_with_their_lines(tmp_path: Path) -> None:
    directory = write_program(
        tmp_path,
        "package main\n"
        "\tgo f() // LEAK: created-by main.main\n"
        "\tx <- 1 // LEAK: goroutine main.f\n"
        "\tg() // LEAK-ALSO: main.f\n",
    )
    answer = read_marks(directory, tmp_path)
    assert answer is not None
    file = "bodies/sample/main.go"
    assert (answer.kind, answer.place) == ("goroutine", Place("main.f", file, 3))
    assert answer.also == (Place("main.f", file, 4),)
    assert answer.created_by == Place("main.main", file, 2)
    assert answer.matches("main.f", f"/home/someone/{file}", 3)
    assert answer.matches("main.f", f"example.com/goprograms/{file}", 4)
    assert not answer.matches("main.f", f"/home/someone/other{file}", 3)
    assert not answer.matches("main.f", f"/home/someone/{file}", 5)
    assert not answer.matches("main.g", f"/home/someone/{file}", 3)


def test_a_healthy_program_expects_nothing(tmp_path: Path) -> None:
    assert read_marks(write_program(tmp_path, "// HEALTHY: fine.\npackage main\n"), tmp_path) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("package main\n", "must have one LEAK mark"),
        ("// HEALTHY: fine.\nf() // LEAK: fd main.f\n", "must have one LEAK mark"),
        ("f() // LEAK: fd main.f\ng() // LEAK: fd main.g\n", "main.go:2: a second LEAK mark"),
        ("f() // LEAK: socket main.f\n", "main.go:1: a mark that cannot be read"),
        ("f() // LEAK: fd\n", "main.go:1: a mark that cannot be read"),
        ("f() // LEAK: goroutine main.f\n", "one created-by mark"),
        ("f() // LEAK: fd main.f\ngo f() // LEAK: created-by main.main\n", "one created-by mark"),
    ],
)
def test_contradicting_marks_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    directory = write_program(tmp_path, text)
    with pytest.raises(ValueError, match=complaint):
        read_marks(directory, tmp_path)


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(KeyError, match="nosuchprogram"):
        program_directory("nosuchprogram")


@pytest.mark.go
def test_a_target_that_dies_while_looked_at_fails_the_test(go_toolchain: Toolchain, peer: Peer) -> None:
    binary = build("quiet", go_toolchain)
    with (
        pytest.raises(TargetDied, match="exit -9"),
        run_target(binary, peer) as target,
    ):
        os.kill(target.pid, signal.SIGKILL)
        while target.alive():
            time.sleep(0.01)


@pytest.mark.go
def test_a_target_that_cannot_start_says_why(go_toolchain: Toolchain, peer: Peer) -> None:
    binary = build("quiet", go_toolchain)
    with (
        pytest.raises(TargetDied, match="flag provided but not defined: -nonsense"),
        run_target(binary, peer, arguments=["-nonsense"]),
    ):
        pass


@pytest.mark.go
def test_nothing_is_left_over(go_toolchain: Toolchain, peer: Peer) -> None:
    with run_target(build("quiet", go_toolchain), peer) as target:
        pid = target.pid
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.go
def test_a_target_by_hand_tells_its_truth_on_sigusr1(go_toolchain: Toolchain, peer: Peer) -> None:
    process = GoProcess([str(build("earlyreturn", go_toolchain)), "-peer", peer.url])
    try:
        os.kill(process.pid, signal.SIGUSR1)
        assert isinstance(process.wait_for("truth"), dict)
    finally:
        process.stop()


@pytest.mark.go
def test_the_compilers_words_reach_the_developer(go_toolchain: Toolchain) -> None:
    with pytest.raises(BuildFailed, match="nosuchflag"):
        build("quiet", go_toolchain, flags=("-nosuchflag",))
