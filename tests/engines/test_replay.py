"""A recording and its replay: the same facts, the same verdict, wherever the recording was cut off."""

from __future__ import annotations

import gzip
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from leaktui.analysis.program import HandOver, ResponseStep, UnknownProgram
from leaktui.engines.capture_records import SourceKept
from leaktui.engines.fake import FakeEngine, Script
from leaktui.engines.fake_scenario import LEAKING_CALL, LeakingService
from leaktui.engines.protocol import DetailSeen, HoldersSeen, ProcessSeen, Refused, Request, Want
from leaktui.engines.recording import Recorder
from leaktui.engines.replay import Tape
from leaktui.errors import EndpointUnreachable, TargetGone, UsageError
from leaktui.model.capability import SourceState
from leaktui.model.explanation import SkipReason
from leaktui.model.finding import Finding, Verdict
from leaktui.model.frame import Stack
from leaktui.model.holder import HolderSearch
from leaktui.model.process import ProcessStat
from leaktui.model.target import Target
from leaktui.model.wait import GoroutineDetail
from leaktui.record import Recording, record
from leaktui.replaying import ReplayedInvestigation, conclude_capture
from leaktui.session import Metric
from leaktui.sources import SourceRoot, Sources

TARGET = Target(pid=4242, exe="/srv/app")
STAT = ProcessStat(1 << 20, 1 << 30, 8, 1.0, 12, 1024)


CLIENT = (
    """\
package pricing

import "net/http"
"""
    + "\n" * (LEAKING_CALL.line - 7)
    + """\

func (c *Client) Lookup() error {
	//
	resp, err := http.Get(c.base)
	if err != nil {
		return err
	}
	finish(resp)
	return nil
}
"""
)
FINISH = """\
package pricing

import "net/http"

func finish(resp *http.Response) {
	if resp.StatusCode == http.StatusNotFound {
		return
	}
	resp.Body.Close()
}
"""


class NobodyHandsOver(UnknownProgram):
    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        return (ResponseStep(first, HandOver.NO, known_from="machine code"),)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recording]:
    """A recording of the leaking service of the fake, and what was said of it live."""
    path = tmp_path_factory.mktemp("capture") / "shop.capture"
    service = LeakingService()
    source = path.parent / "pricing"
    source.mkdir()
    (source / "client.go").write_text(CLIENT, encoding="utf-8")
    (source / "finish.go").write_text(FINISH, encoding="utf-8")
    said = record(
        service.target(),
        (service.engine(60),),
        path.open("wb"),
        load_program=NobodyHandsOver,
        sources=Sources([SourceRoot(LEAKING_CALL.file.rpartition("/")[0], str(source))]),
        seconds=11,
    )
    return path, said


def summary(finding: Finding) -> tuple[object, ...]:
    return (
        finding.kind,
        finding.confidence,
        finding.function,
        finding.location,
        finding.stack,
        finding.count,
        finding.created_by,
        tuple(item.source for item in finding.evidence),
    )


def test_a_capture_gives_the_recorded_verdict_again(recorded: tuple[Path, Recording]) -> None:
    path, said = recorded
    tape = Tape(str(path))
    investigation = conclude_capture(tape)
    again = investigation.diagnosis()
    investigation.close()
    assert said.diagnosis.verdict is Verdict.LEAK
    assert again.verdict is said.diagnosis.verdict
    assert [summary(item) for item in again.suspects] == [summary(item) for item in said.diagnosis.suspects]
    assert again.suspects[0].location == LEAKING_CALL
    assert again.target == replace(
        said.diagnosis.target,
        build=replace(said.diagnosis.target.build, dependencies=(), settings=()),  # type: ignore[type-var]
    )
    assert [(item.name, item.state) for item in again.sources] == [
        (item.name, item.state) for item in said.diagnosis.sources
    ]
    assert again.elapsed_seconds == pytest.approx(said.seconds, abs=0.5)
    assert tape.shortfall == ""


def test_the_graphs_have_the_recorded_axis(recorded: tuple[Path, Recording]) -> None:
    tape = Tape(str(recorded[0]))
    investigation = conclude_capture(tape)
    points = investigation.session.history.series(Metric.OPEN_BODIES)
    investigation.close()
    assert 8 < points[-1].time - points[0].time < 12
    assert points[-1].time == pytest.approx(tape.clock(), abs=3)


def test_played_for_the_eye_it_takes_about_its_time(recorded: tuple[Path, Recording]) -> None:
    investigation = ReplayedInvestigation(Tape(str(recorded[0])), play_seconds=1.0)
    began = time.monotonic()
    investigation.start()
    assert not investigation.played.wait(0.3)
    assert investigation.played.wait(20)
    assert time.monotonic() - began > 0.8
    investigation.close()


def test_a_capture_can_be_closed_in_the_middle(recorded: tuple[Path, Recording]) -> None:
    investigation = ReplayedInvestigation(Tape(str(recorded[0])), play_seconds=60.0)
    investigation.start()
    investigation.close()
    assert not any(thread.name == "leaktui-replay" for thread in threading.enumerate())


def test_the_source_of_the_suspect_is_kept(recorded: tuple[Path, Recording]) -> None:
    tape = Tape(str(recorded[0]))
    conclude_capture(tape).close()
    lines = tape.source_of(LEAKING_CALL.file)
    assert lines[LEAKING_CALL.line - 2] == "func (c *Client) Lookup() error {"
    assert lines[LEAKING_CALL.line] == "    resp, err := http.Get(c.base)"
    assert 1 not in lines
    assert tape.source_of("/etc/passwd") == {}


def test_what_the_whole_package_said_is_kept(recorded: tuple[Path, Recording]) -> None:
    tape = Tape(str(recorded[0]))
    investigation = conclude_capture(tape)
    suspect = investigation.diagnosis().suspects[0]
    investigation.close()
    sources = Sources(kept=tape.source_of, explained=tape.explanation_of)
    found = sources.explain(suspect)
    # The helper's file is not in the capture: only where it was made could this be known.
    assert sources.read(suspect.location.file.replace("client", "finish")) is None  # type: ignore[union-attr]
    assert found is not None and found.reason is SkipReason.EARLY_RETURN and found.certain
    assert "finish (finish.go:5) is handed resp.Body" in found.text
    added = [line for line in found.diff.splitlines() if line.startswith("+") and "+++" not in line]
    assert added == ["+\t\tresp.Body.Close()"] and found.diff.endswith("\n")
    assert tape.explanation_of(replace(suspect, function="main.other")) is None


@pytest.mark.parametrize("share", [0.6, 0.8, 0.99])
def test_cut_off_it_shows_what_came_before(
    recorded: tuple[Path, Recording], tmp_path: Path, share: float
) -> None:
    data = recorded[0].read_bytes()
    cut = tmp_path / "cut.capture"
    cut.write_bytes(data[: int(len(data) * share)])
    tape = Tape(str(cut))
    investigation = conclude_capture(tape)
    # The first third is the header and what the types are.
    assert investigation.session.snapshot.process is not None
    assert "ends early" in investigation.shortfall
    investigation.close()


def test_damaged_it_says_so_and_shows_what_came_before(
    recorded: tuple[Path, Recording], tmp_path: Path
) -> None:
    lines = gzip.decompress(recorded[0].read_bytes()).splitlines(keepends=True)
    lines[len(lines) // 2] = b'["R",3,"fake",1,[["what"]]]\n'
    damaged = tmp_path / "damaged.capture"
    damaged.write_bytes(gzip.compress(b"".join(lines)))
    tape = Tape(str(damaged))
    conclude_capture(tape).close()
    assert "the capture is damaged after" in tape.shortfall and "\n" not in tape.shortfall


# -- what is refused -------------------------------------------------------------------------------


def pack(*lines: object) -> bytes:
    return gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines), mtime=0)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it is empty"),
        (b"hello, world", "not compressed with gzip"),
        (b"\x1f\x8b" + b"\0" * 40, "damaged"),
        (gzip.compress(b"hello\n", mtime=0), "cannot be read"),
        (pack({"format": "leaktui.capture/7"}), "newer leaktui"),
        (pack({"format": "leaktui.capture/1"}), "header does not say"),
        (
            pack(
                {
                    "format": "leaktui.capture/1",
                    "leaktui": "1",
                    "began": 0,
                    "clock": 0,
                    "seconds": 1,
                    "engines": [],
                    "masked": True,
                }
            ),
            "ends before anything was recorded",
        ),
    ],
)
def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "x.capture"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=sentence) as caught:
        Tape(str(path))
    assert "x.capture" in str(caught.value) and "\n" not in str(caught.value)


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Tape(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no regular file"):
        Tape(str(tmp_path))
    with pytest.raises(UsageError, match="no regular file"):
        Tape("/dev/null")


# -- the recorder ----------------------------------------------------------------------------------


def recorder(path: Path, engines: list[str], **options: int) -> Recorder:
    header = {"leaktui": "1", "began": 0.0, "seconds": 5.0, "engines": engines, "masked": False}
    return Recorder(path.open("wb"), TARGET, header=header, **options)


def ask(engine: object, want: Want, subject: int = 0) -> list[object]:
    capture = engine.capture  # type: ignore[attr-defined]
    return list(capture(Request(frozenset({want}), subject=subject), threading.Event()))


def test_failures_and_answers_come_again(tmp_path: Path) -> None:
    path = tmp_path / "x.capture"
    search = HoldersSeen(HolderSearch(0xC000, 64, done=True))
    detail = DetailSeen(GoroutineDetail(7))
    script: Script = {
        Want.PROCESS: [[ProcessSeen(STAT)], [EndpointUnreachable("refused", remedy="start it")]],
        Want.HOLDERS: [[search]],
        Want.DETAIL: [[detail]],
        Want.FDS: [[TargetGone("process 4242 exited")]],
    }
    writer = recorder(path, ["fake"])
    engine = writer.engines([FakeEngine(script)])[0]
    engine.probe(TARGET)
    assert ask(engine, Want.PROCESS) == [ProcessSeen(STAT)]
    with pytest.raises(EndpointUnreachable):
        ask(engine, Want.PROCESS)
    ask(engine, Want.HOLDERS, 0xC000)
    ask(engine, Want.DETAIL, 7)
    with pytest.raises(TargetGone):
        ask(engine, Want.FDS)
    writer.close("the process exited")

    tape = Tape(str(path))
    investigation = conclude_capture(tape)
    session = investigation.session
    assert session.exited == "process 4242 exited"
    assert session.snapshot.process == STAT
    assert session.snapshot.sources[0].state is SourceState.FAILED
    assert investigation.knows(Want.HOLDERS, 0xC000) and not investigation.knows(Want.HOLDERS, 0xC008)
    replayed = tape.engines[0]
    assert ask(replayed, Want.HOLDERS, 0xC000) == [search]
    assert ask(replayed, Want.DETAIL, 7) == [detail]
    refused = ask(replayed, Want.HOLDERS, 0xC008)
    assert isinstance(refused[0], Refused) and "this is a capture" in refused[0].reason
    investigation.close()


def test_an_engine_that_never_answered_is_said_to_have_not(tmp_path: Path) -> None:
    path = tmp_path / "x.capture"
    recorder(path, ["slow"]).close()
    investigation = conclude_capture(Tape(str(path)))
    deadline = time.monotonic() + 10
    while investigation.session.probing and time.monotonic() < deadline:
        time.sleep(0.01)
    source = investigation.session.snapshot.sources[0]
    assert source.state is SourceState.UNAVAILABLE and "had not answered" in source.detail
    investigation.close()


def test_what_is_written_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.capture"
    writer = recorder(path, ["fake"])
    engine = writer.engines([FakeEngine({Want.PROCESS: [[ProcessSeen(STAT)]]})])[0]
    engine.probe(TARGET)
    ask(engine, Want.PROCESS)
    deadline = time.monotonic() + 20
    while True:  # flushed about once a second
        try:
            tape = Tape(str(path))
            conclude = conclude_capture(tape)
            seen = conclude.session.snapshot.process
            conclude.close()
        except UsageError:
            seen = None
        if seen == STAT:
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "ends early" in tape.shortfall
    writer.close()


def test_a_full_capture_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "x.capture"
    writer = recorder(path, ["fake"], most_bytes=20_000)
    for index in range(2000):
        writer.put("fake", SourceKept(f"/src/{index:0100}.go"))
        if writer.failure:
            break
    deadline = time.monotonic() + 20
    while not writer.is_full and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.close(writer.failure)
    assert writer.is_full and "has reached" in writer.failure
    tape = Tape(str(path))
    conclude_capture(tape).close()
    assert tape.shortfall == ""


def test_a_disk_that_is_full_is_told() -> None:
    header = {"leaktui": "1", "began": 0.0, "seconds": 5.0, "engines": [], "masked": False}
    file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - the recorder closes it
    writer = Recorder(file, TARGET, header=header)
    deadline = time.monotonic() + 20
    while not writer.failure and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "No space left" in writer.failure
    writer.close()
