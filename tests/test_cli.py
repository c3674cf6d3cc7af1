"""leaktui as a process: every way to refuse, each one sentence and status 2; and the ways to end."""

from __future__ import annotations

import gzip
import json
import os
import platform
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import command, environment, run, run_shell
from tests.conftest import TargetFactory
from tests.go_expected import expected
from tests.go_target import GoTarget
from tests.go_toolchain import Toolchain
from tests.pprof_impostor import HEAD, Write, impostor, send_index

NOBODY = 65534


@contextmanager
def process(*arguments: str) -> Iterator[int]:
    """Some process that is no Go program, for the length of a `with`; yields its pid."""
    started = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert started.stdout is not None
        started.stdout.readline()
        yield started.pid
    finally:
        started.kill()
        started.communicate()


# -- what is no target ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["diagnose", "doctor"])
def test_no_process_named(name: str) -> None:
    assert run(name).sentence.endswith("give --pid N or --url URL (`leaktui ps` lists what runs here)")


@pytest.mark.parametrize("name", ["diagnose", "doctor"])
def test_a_process_that_is_gone(name: str) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert f"there is no process {gone.pid}" in run(name, "--pid", str(gone.pid)).sentence


def test_a_process_that_has_exited_and_was_not_collected() -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert str(zombie.pid) in run("diagnose", "--pid", str(zombie.pid)).sentence
    finally:
        zombie.wait()


def test_not_a_go_program() -> None:
    with process(sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()") as pid:
        sentence = run("diagnose", "--pid", str(pid)).sentence
    assert "was not built by the Go toolchain" in sentence and "leaktui ps" in sentence


def test_leaktui_itself() -> None:
    said = run_shell('exec "$@" diagnose --pid $$')
    assert "is leaktui itself" in said.sentence


@pytest.mark.skipif(not Path("/proc/2").exists(), reason="kernel threads are not visible here")
def test_a_thread_of_the_kernel() -> None:
    assert "thread of the kernel" in run("diagnose", "--pid", "2").sentence


@pytest.mark.go
@pytest.mark.root
def test_a_process_of_another_user(target_factory: TargetFactory) -> None:
    # leaktui becomes another user once it has loaded all it needs: where Python lies may not be theirs to read.
    become = (
        "import contextlib, io, locale, os, sys\n"
        "import leaktui.cli.examining, leaktui.cli.diagnosing\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    assert leaktui.cli.main(['doctor', *sys.argv[2:]]) == 0\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "sys.exit(leaktui.cli.main(sys.argv[1:]))\n"
    )
    with target_factory("earlyreturn") as target:
        said = subprocess.run(
            [sys.executable, "-c", become, "diagnose", "--pid", str(target.pid)],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=60,
        )
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.count("\n") == 1
    assert "is not yours to look at" in said.stderr and "as root" in said.stderr


@pytest.mark.go
def test_no_pprof_and_no_memory_says_what_would_help(target_factory: TargetFactory) -> None:
    with target_factory("earlyreturn", pprof=False) as target:
        sentence = run("diagnose", "--pid", str(target.pid), "--without", "memory,probes").sentence
        examined = run("doctor", "--pid", str(target.pid), "--without", "memory,probes")
    assert "--url" in sentence or "net/http/pprof" in sentence
    assert examined.status == 2
    assert re.search(r"^proc +works", examined.out, re.M)
    assert re.search(r"^pprof +does not work", examined.out, re.M)


@pytest.mark.go
def test_a_program_without_pprof_linked(target_factory: TargetFactory) -> None:
    with target_factory("earlyreturn", tags="nopprof", pprof=False) as target:
        sentence = run("diagnose", "--pid", str(target.pid), "--without", "memory,probes").sentence
    assert "does not link net/http/pprof" in sentence and 'import _ "net/http/pprof"' in sentence


def test_a_program_is_started_and_ends_with_the_command(tmp_path: Path) -> None:
    lived = tmp_path / "lived"
    ended = run(
        "doctor", "--exec", "/bin/sh", "--", "-c", f"trap 'touch {lived}; exit' TERM; sleep 20 & wait"
    )
    assert ended.status == 2
    assert "was not built by the Go toolchain" in ended.err
    assert lived.exists(), "it was not asked to end"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("doctor", "--exec", "/bin/false"), "the program ended at once"),
        (("doctor", "--exec", "/nowhere/app"), "cannot be run"),
        (("doctor", "--exec", "/bin/true", "--pid", "1"), "another one was named"),
        (("doctor", "--pid", "1", "--", "-x"), "there is no --exec"),
        (("doctor", "--dlv", "nowhere"), "is no address of a headless Delve"),
        (("diagnose", "--pid", "1", "--allow", "murder"), "choose from pause, breakpoints"),
    ],
)
def test_what_starts_or_connects_nothing(arguments: tuple[str, ...], said: str) -> None:
    ended = run(*arguments)
    assert ended.status == 2
    assert said in ended.sentence


def test_only_what_can_be_left_out_can_be_left_out() -> None:
    assert "memory, probes, pprof and delve" in run("diagnose", "--pid", "1", "--without", "proc").sentence


@pytest.mark.go
@pytest.mark.root
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the memory engine reads amd64 only")
def test_goroutines_from_memory_need_no_pprof(target_factory: TargetFactory) -> None:
    truth = expected("workerpool")
    assert truth is not None
    with target_factory("workerpool", stripped=True, tags="nopprof", pprof=False) as target:
        done = run("diagnose", "--pid", str(target.pid), "--json", "--seconds", "30")
    diagnosis = json.loads(done.out)
    assert (done.status, diagnosis["verdict"], diagnosis["target_pause_ms"]) == (1, "leak", 0)
    first = diagnosis["suspects"][0]
    assert truth.matches(first["function"], first["file"], first["line"])
    assert {item["source"] for item in first["evidence"]} == {"memory"}
    assert first["confidence"] == "proven"


@pytest.mark.go
def test_the_endpoint_of_another_process(target_factory: TargetFactory) -> None:
    with target_factory("earlyreturn") as one, target_factory("earlyreturn") as other:
        assert other.pprof_url is not None
        sentence = run("diagnose", "--pid", str(one.pid), "--url", other.pprof_url).sentence
    assert f"not for process {one.pid}" in sentence


@pytest.mark.go
def test_a_target_that_stands_still(target_factory: TargetFactory) -> None:
    with target_factory("earlyreturn") as target:
        os.kill(target.pid, signal.SIGSTOP)
        try:
            sentence = run("diagnose", "--pid", str(target.pid)).sentence
        finally:
            os.kill(target.pid, signal.SIGCONT)
    assert "is stopped" in sentence and f"kill -CONT {target.pid}" in sentence


@pytest.mark.go
def test_a_target_in_other_hands(target_factory: TargetFactory) -> None:
    with target_factory("earlyreturn") as target, watching(target) as other:
        sentence = run("diagnose", "--pid", str(target.pid)).sentence
    assert f"another leaktui looks at process {target.pid}" in sentence and str(other.pid) in sentence


# -- what is no pprof ----------------------------------------------------------------------------


def reply(
    body: bytes, content_type: str = "application/octet-stream", *, announced: int | None = None
) -> bytes:
    length = len(body) if announced is None else announced
    return HEAD + f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n".encode() + body


def truncated_gzip(path: str, write: Write) -> None:
    send_index(path, write) or write(reply(gzip.compress(os.urandom(4096))[:1000]))


def html(path: str, write: Write) -> None:
    send_index(path, write) or write(reply(b"<!doctype html><html><body>Sign in</body></html>", "text/html"))


def cut_off(path: str, write: Write) -> None:
    send_index(path, write) or write(reply(b"\x1f\x8b", announced=5000))


def two_gigabytes(path: str, write: Write) -> None:
    if not send_index(path, write):
        write(reply(b"", announced=2 << 30))
        for _ in range(2048):
            write(bytes(1 << 20))


def gzip_bomb(path: str, write: Write) -> None:
    send_index(path, write) or write(reply(BOMB))


def not_pprof_at_all(path: str, write: Write) -> None:
    write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")


def not_even_http(path: str, write: Write) -> None:
    write(b"\x00\x01\x1b[2J\xff" * 100)


BOMB = gzip.compress(bytes(1 << 20)) * 400


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (truncated_gzip, "end"),
        (cut_off, ""),
        (html, "HTML page instead of a"),
        (two_gigabytes, "is larger than"),
        (gzip_bomb, "nothing could be read through pprof"),
        (not_pprof_at_all, "not a profile"),
        (not_even_http, ""),
    ],
)
def test_answers_that_are_no_profiles(answer: Callable[[str, Write], None], part: str) -> None:
    with impostor(answer) as url:
        ended = run("diagnose", "--url", url, "--seconds", "2")
    assert part in ended.sentence
    assert "\x1b" not in ended.err


def test_an_endpoint_that_hangs() -> None:
    released = threading.Event()
    try:
        with impostor(lambda path, write: bool(released.wait(40))) as url:
            assert "did not finish its answer within 10 s" in run("diagnose", "--url", url).sentence
    finally:
        released.set()


def test_nothing_listens() -> None:
    with impostor(html) as url:
        pass
    assert url in run("diagnose", "--url", url).sentence


@pytest.mark.parametrize("url", ["ftp://host/x", "http://", "http://[::1", "http://ops:hunter2@host:port/"])
def test_what_is_no_url(url: str) -> None:
    sentence = run("diagnose", "--url", url).sentence
    assert "hunter2" not in sentence


# -- how it ends ---------------------------------------------------------------------------------


@contextmanager
def watching(target: GoTarget, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """leaktui at work on *target*; ended at the end."""
    leaktui = subprocess.Popen(
        command("diagnose", "--pid", str(target.pid), "--json", "--seconds", "120", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    try:
        wait_for_lock(target.pid, leaktui.pid)
        yield leaktui
    finally:
        leaktui.kill()
        leaktui.communicate()


def wait_for_lock(pid: int, holder: int) -> None:
    """Until process *holder* has its lock on *pid*: from then on it watches."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        holding = [
            line.split()[4] for line in Path("/proc/locks").read_text().splitlines() if "FLOCK" in line
        ]
        if str(holder) in holding:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {holder} never locked process {pid}")


@pytest.mark.go
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_reports_what_it_knows(number: signal.Signals, target_factory: TargetFactory) -> None:
    with target_factory("keepalive") as target, watching(target) as leaktui:
        time.sleep(2)
        leaktui.send_signal(number)
        out, err = leaktui.communicate(timeout=30)
        assert err == ""
        diagnosis = json.loads(out)
        expected = {"clean": 0, "leak": 1, "undecided": 3}[diagnosis["verdict"]]
        assert leaktui.returncode == expected
        assert diagnosis["elapsed_seconds"] < 60
        assert target.alive()


@pytest.mark.go
def test_the_target_exits_while_it_is_watched(target_factory: TargetFactory) -> None:
    with pytest.raises(AssertionError), target_factory("keepalive") as target, watching(target) as leaktui:
        time.sleep(2)
        target.stop()
        out, err = leaktui.communicate(timeout=30)
        ended = (leaktui.returncode, out, err)
    assert ended[:2] == (2, "")
    assert ended[2].count("\n") == 1
    assert f"process {target.pid} exited while it was watched" in ended[2]


@pytest.mark.go
def test_a_leak_end_to_end(target_factory: TargetFactory, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with target_factory("earlyreturn", rate=30) as target:
        ended = run("diagnose", "--pid", str(target.pid), "--json", "-o", str(report))
        assert target.alive()
    assert (ended.status, ended.out, ended.err) == (1, "", "")
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    diagnosis = json.loads(report.read_text())
    assert (diagnosis["schema"], diagnosis["verdict"]) == ("leaktui.diagnosis/1", "leak")
    assert diagnosis["target"]["pid"] == target.pid
    assert diagnosis["suspects"][0]["kind"] == "http-body"


@pytest.mark.go
def test_ps_and_doctor_on_a_service(target_factory: TargetFactory) -> None:
    with target_factory("keepalive") as target:
        listed = run("ps", "--json")
        table = run("ps")
        examined = run("doctor", "--pid", str(target.pid))
    assert listed.status == 0
    document = json.loads(listed.out)
    assert document["schema"] == "leaktui.processes/1"
    [row] = [row for row in document["processes"] if row["pid"] == target.pid]
    assert target.pprof_url is not None
    assert row["pprof_url"].startswith(target.pprof_url)
    assert row["goroutines"] > 0 and row["fds"] > 0 and row["rss_bytes"] > 0
    assert table.status == 0
    titles, *lines = table.out.splitlines()
    assert titles.split()[0] == "PID"
    assert any(line.split()[0] == str(target.pid) for line in lines)
    assert (examined.status, examined.err) == (0, "")
    assert re.search(r"^pprof +works", examined.out, re.M) and target.pprof_url in examined.out


# -- pipes, files, terminals ---------------------------------------------------------------------


def test_a_reader_that_leaves() -> None:
    assert run_shell('set -o pipefail; "$@" ps --json | true') == run_shell("true")
    assert run_shell('set -o pipefail; "$@" --help | true').err == ""


def test_no_room_for_the_answer() -> None:
    said = run_shell('exec "$@" ps --json >/dev/full')
    assert (said.status, said.out) == (2, "")
    assert "No space left on device" in said.sentence


def test_no_stdout() -> None:
    assert "standard output" in run_shell('exec "$@" ps --json >&-').sentence


def test_neither_stdout_nor_stderr() -> None:
    assert run_shell('exec "$@" diagnose --pid 999 >&- 2>&-').status == 2


def test_a_report_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    began = time.monotonic()
    with process(sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()") as pid:
        sentence = run("diagnose", "--pid", str(pid), "-o", str(tmp_path / "no" / "report")).sentence
    assert "cannot write" in sentence and "-o" in sentence
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("arguments", [["--pid", "1"], ["--url", "http://h"], [], ["demo"]])
def test_the_screens_need_a_terminal(arguments: list[str]) -> None:
    sentence = run(*arguments).sentence
    assert "need a terminal" in sentence and "leaktui diagnose" in sentence


def test_a_dumb_terminal() -> None:
    master, slave = pty.openpty()
    leaktui = subprocess.Popen(
        command("--pid", "1"), stdin=slave, stdout=slave, stderr=slave, env=environment(TERM="dumb")
    )
    os.close(slave)
    try:
        assert leaktui.wait(60) == 2
        said = os.read(master, 65536).decode()
    finally:
        os.close(master)
    assert said.startswith("leaktui: TERM names a terminal") and said.count("\n") == 1


@pytest.mark.go
def test_progress_is_one_line_and_goes_away(target_factory: TargetFactory) -> None:
    master, slave = pty.openpty()
    with target_factory("keepalive") as target:
        leaktui = subprocess.Popen(
            command("diagnose", "--pid", str(target.pid), "--json", "--seconds", "2"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
            env=environment(TERM="xterm"),
        )
        os.close(slave)
        out, _ = leaktui.communicate(timeout=60)
        shown = b""
        try:
            while piece := os.read(master, 65536):
                shown += piece
        except OSError:  # EIO: the other side is closed
            pass
        os.close(master)
    assert json.loads(out)["schema"] == "leaktui.diagnosis/1"
    assert b"\n" not in shown and b"\x1b" not in shown
    assert shown.count(b"\r") > 3
    assert shown.endswith(b" \r")


def test_a_defect_is_one_sentence_too() -> None:
    broken = "import sys, leaktui.cli as c\nc._run_command = lambda o: 1 / 0\nsys.exit(c.main(['ps']))"
    said = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, env=environment())
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("leaktui: this is a defect of leaktui itself (ZeroDivisionError")
    assert said.stderr.count("\n") == 1


def test_a_defect_in_a_thread_spoils_no_report() -> None:
    broken = (
        "import sys, threading, leaktui.cli as c\n"
        "def command(options):\n"
        "    thread = threading.Thread(target=lambda: 1 / 0)\n"
        "    thread.start(); thread.join(); print('answer'); return 0\n"
        "c._run_command = command\n"
        "sys.exit(c.main(['ps']))"
    )
    said = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, env=environment())
    assert (said.returncode, said.stdout) == (0, "answer\n")
    assert said.stderr.startswith("leaktui: a part of leaktui failed (ZeroDivisionError")
    assert said.stderr.count("\n") == 1


@pytest.mark.go
def test_the_demo_without_a_screen(tmp_path: Path, go_toolchain: Toolchain) -> None:
    # The demo of its own, but not a standard library compiled anew.
    said = subprocess.run([go_toolchain.go, "env", "GOCACHE"], capture_output=True, text=True, check=True)
    leaktui = subprocess.Popen(
        command("demo", "--leak", "goroutine", "--rate", "50", "--headless"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(XDG_CACHE_HOME=str(tmp_path), GOCACHE=said.stdout.strip()),
    )
    try:
        assert leaktui.stdout is not None
        pid = int(leaktui.stdout.readline())
        assert run("doctor", "--pid", str(pid)).status == 0
        leaktui.send_signal(signal.SIGINT)
        out, err = leaktui.communicate(timeout=30)
    finally:
        leaktui.kill()
        leaktui.communicate()
    assert (leaktui.returncode, out) == (0, "")
    assert err.startswith(f"leaktui: the demo leaks (goroutine) as pid {pid}") and err.count("\n") == 1
    assert not Path(f"/proc/{pid}").exists()
