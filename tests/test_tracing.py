"""`leaktui trace` on real programs with a real dlv: the handbook's case, before the fix and after it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import command, environment, run
from tests.conftest import TargetFactory
from tests.go_expected import expected
from tests.go_toolchain import Toolchain

pytestmark = [pytest.mark.go, pytest.mark.dlv]

YES = ("--allow", "pause,breakpoints")

HISTORY = """\
package main

import (
	"flag"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

var (
	history [][]byte
	scratch []byte
)

//go:noinline
func remember(page string) {
	kept := make([]byte, 64<<10)
	copy(kept, page)
	history = append(history, kept)
}

//go:noinline
func render(lines int) int {
	scratch = make([]byte, 40<<10)
	return copy(scratch, strings.Repeat("line ", lines))
}

func main() {
	fixed := flag.Bool("fixed", false, "do not remember")
	flag.Parse()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	os.Stdout.WriteString("ready\\n")
	for n := 0; ; n++ {
		render(100)
		if !*fixed {
			remember("page")
		}
		if n%8 == 0 {
			runtime.GC()
		}
		time.Sleep(20 * time.Millisecond)
	}
}
"""
"""Keeps every page it renders; the repaired one keeps none, and so does not allocate for it."""


@pytest.fixture(scope="module")
def history(go_toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("history")
    (directory / "go.mod").write_text("module example.com/history\n\ngo 1.22\n")
    (directory / "main.go").write_text(HISTORY)
    subprocess.run(
        [str(go_toolchain.go), "build", "-o", "history", "."],
        cwd=directory,
        check=True,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"},
    )
    return directory / "history"


@contextmanager
def running(binary: Path, *arguments: str) -> Iterator[int]:
    """The program's pid; it must have lived to the end."""
    process = subprocess.Popen([str(binary), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield process.pid
        assert process.poll() is None, "looking at it ended it"
        assert runs_on(process.pid), "it was left stopped"
    finally:
        process.communicate(timeout=10)


def runs_on(pid: int) -> bool:
    """Whether it is not stopped, and nobody traces it."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return fields["State"][0] in "SRD" and fields["TracerPid"].strip() == "0"


def traced(pid: int, *arguments: str) -> dict[str, Any]:
    ended = run("trace", "--pid", str(pid), *arguments, *YES, "--json", timeout=180)
    assert ended.status == 0, ended
    document: dict[str, Any] = json.loads(ended.out)
    return document


def stacks(document: dict[str, Any], function: str) -> list[dict[str, Any]]:
    return [group for group in document["groups"] if group["function"] == function]


def test_large_allocations_and_collections_with_time_size_and_stack(history: Path) -> None:
    budget = ("--seconds", "15", "--hits", "120", "--stopped", "15")
    with running(history) as pid:
        document = traced(pid, "--preset", "alloc", "--preset", "gc", *budget)
    hits = [hit for hit in document["hits"] if hit["function"] == "runtime.mallocgc"]
    assert {hit["size"] for hit in hits} >= {65536, 40960} and all(hit["size"] >= 32768 for hit in hits)
    assert [hit["time"] for hit in hits] == sorted(hit["time"] for hit in hits)
    (guilty,) = [
        group
        for group in stacks(document, "runtime.mallocgc")
        if group["caller"]["function"] == "main.remember"
    ]
    line = HISTORY.splitlines().index("\tkept := make([]byte, 64<<10)") + 1
    assert guilty["caller"]["line"] == line and guilty["bytes"] == 65536 * guilty["hits"]
    assert [frame["function"] for frame in guilty["stack"]][-3:-2] == ["main.main"]
    assert guilty["hits"] > 5 and 0 <= guilty["first"] < guilty["last"] <= document["seconds"]
    assert document["tracepoints"][1]["function"] == "runtime.gcStart" and document["tracepoints"][1]["hits"]
    assert stacks(document, "runtime.gcStart"), "with the stack that began it"
    assert document["cost"]["stops_ms"] > 0 and document["cost"]["attach_stop_ms"] > 0

    with running(history, "-fixed") as pid:
        repaired = traced(pid, "--preset", "alloc", "--preset", "gc", *budget)
    callers = {group["caller"]["function"] for group in stacks(repaired, "runtime.mallocgc")}
    assert callers == {"main.render"}, "the stack of the leak is gone, and the others are there"


def test_bodies_are_paired_where_no_probes_are(target_factory: TargetFactory) -> None:
    truth = expected("earlyreturn")
    assert truth is not None
    with target_factory("earlyreturn", rate=10) as target:
        document = traced(target.pid, "--preset", "bodies", "--seconds", "12", "--stopped", "20")
        guilty = document["bodies"][0]
        assert guilty["owner"]["function"] == truth.function and guilty["owner"]["line"] == truth.line
        assert guilty["left_open"] >= 3 and guilty["confidence"] in ("likely", "proven")
        assert all(not item["left_open"] for item in document["bodies"][1:]), document["bodies"]
    with target_factory("earlyreturn", rate=10, fixed=True) as target:
        document = traced(target.pid, "--preset", "bodies", "--seconds", "6", "--stopped", "20")
        assert document["bodies"] and all(not item["left_open"] for item in document["bodies"])


def test_ctrl_c_ends_it_in_order_and_prints_what_there_is(history: Path) -> None:
    with running(history) as pid:
        words = (
            "trace",
            "--pid",
            str(pid),
            "main.render",
            "--seconds",
            "600",
            "--hits",
            "100000",
            "--stopped",
            "600",
        )
        process = subprocess.Popen(
            [*command(*words), *YES, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        deadline = time.monotonic() + 90
        while runs_on(pid):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        time.sleep(3.0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert json.loads(out)["tracepoints"][0]["hits"] > 0


def test_it_asks_at_a_terminal_and_no_is_no(history: Path) -> None:
    with running(history) as pid:
        main, side = pty.openpty()
        process = subprocess.Popen(
            command("trace", "--pid", str(pid), "--preset", "gc"),
            stdin=side,
            stdout=side,
            stderr=side,
            env=environment(COLUMNS="80"),
        )
        os.close(side)
        said = b""
        while b"[y/N]" not in said:
            said += os.read(main, 4096)
        os.write(main, b"n\n")
        assert process.wait(30) == 2
        os.close(main)
        text = " ".join(said.decode().split())
        assert "1 to 4 ms" in text and "kill -9" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runtime.gcStart",), "--allow pause,breakpoints"),
        (("runtime.gcStart", *YES, "--read-only"), "--read-only forbids"),
        (("main.nothere", *YES), "no tracepoint could be set"),
        (("main.render:size=3", *YES), "assigns"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_status_2(
    history: Path, words: tuple[str, ...], said: str
) -> None:
    with running(history) as pid:
        assert said in run("trace", "--pid", str(pid), *words, timeout=120).sentence


def test_a_stripped_program_is_refused_before_it_is_attached(target_factory: TargetFactory) -> None:
    with target_factory("earlyreturn", stripped=True) as target:
        sentence = run("trace", "--pid", str(target.pid), "--preset", "gc", *YES).sentence
        assert "symbol" in sentence or "stripped" in sentence or "debug information" in sentence
