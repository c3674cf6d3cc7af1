"""Goroutine dumps: recorded ones of four releases, crashes, and the corners of the format."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.errors import DecodeError
from leaktui.model.frame import Frame
from leaktui.model.goroutine import Ancestor, Goroutine
from leaktui.wire import goroutine_text
from leaktui.wire.goroutine_text import decode_goroutine_dump
from tests.wire.pprof_captures import LEAK_RELEASES, RELEASES, content


def only(text: str) -> Goroutine:
    """The single goroutine of a hand-written dump."""
    dump = decode_goroutine_dump(text.encode())
    assert not dump.truncated
    (goroutine,) = dump.goroutines
    return goroutine


def at(goroutines: tuple[Goroutine, ...], function: str) -> list[Goroutine]:
    return [goroutine for goroutine in goroutines if goroutine.stack[0].function == function]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "name", ["goroutine.2.txt", "debug-goroutine.2.txt", "crash-all.txt", "crash-system.txt"]
)
def test_every_goroutine_of_a_recorded_dump_is_read(release: str, name: str) -> None:
    text = content(release, name)
    dump = decode_goroutine_dump(text)
    headers = [int(goid) for goid in re.findall(rb"^goroutine (\d+) ", text, re.MULTILINE)]
    assert [goroutine.goid for goroutine in dump.goroutines] == headers
    assert not dump.truncated
    for goroutine in dump.goroutines:
        assert goroutine.stack and goroutine.wait_reason
        for frame in goroutine.stack:
            assert frame.file and frame.line and "(0x" not in frame.function and "+" not in frame.file
    parents = [int(goid) for goid in re.findall(rb"^created by .* in goroutine (\d+)$", text, re.MULTILINE)]
    assert [g.parent_goid for g in dump.goroutines if g.parent_goid is not None] == parents
    assert all((g.created_by is None) == (g.parent_goid is None) for g in dump.goroutines)


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_headers(release: str) -> None:
    goroutines = decode_goroutine_dump(content(release, "goroutine.2.txt")).goroutines
    assert goroutines[0].wait_reason == "running"
    assert goroutines[0].wait_minutes is None
    receivers = at(goroutines, "main.receiver")
    assert [(g.wait_reason, g.wait_minutes, g.locked_to_thread) for g in receivers] == [
        ("chan receive", 1, False)
    ] * 5
    assert {id(g.stack) for g in receivers} == {id(receivers[0].stack)}
    assert receivers[0].created_by is not None
    assert receivers[0].created_by.function == "main.parkChannels"
    assert receivers[0].created_by.file == "example.com/waits/channels.go"
    assert receivers[0].parent_goid == 1
    (locked,) = at(goroutines, "main.parkChannels.func14")
    assert locked.locked_to_thread and locked.wait_reason == "chan receive"
    assert sum(g.locked_to_thread for g in goroutines) == 1


@pytest.mark.parametrize("release", RELEASES)
def test_deep_recursions_are_elided(release: str) -> None:
    goroutines = decode_goroutine_dump(content(release, "goroutine.2.txt")).goroutines
    depths = sorted((len(g.stack), g.elided) for g in at(goroutines, "main.recurse"))
    assert depths == [(6, 0), (100, 0), (100, 21)]


@pytest.mark.parametrize("release", ["go1.26", "go1.27"])
def test_labels_in_the_header(release: str) -> None:
    goroutines = decode_goroutine_dump(content(release, "debug-goroutine.2.txt")).goroutines
    labelled = [(g.wait_reason, g.labels) for g in goroutines if g.labels]
    tenant = ("tenant", 'a "quoted" one, {braces}: ü')
    users = ("chan receive", (("empty", ""), ("route", "/users"), tenant))
    orders = ("chan receive", (("empty", ""), ("route", "/orders"), tenant))
    assert labelled == [users, users, orders, orders]


@pytest.mark.parametrize("release", RELEASES)
def test_ancestors(release: str) -> None:
    goroutines = decode_goroutine_dump(content(release, "debug-goroutine.2.txt")).goroutines
    # spawn's four generations: the youngest is parked in a receive, the others sleep.
    (youngest,) = at(goroutines, "main.spawn")
    chain = [ancestor.goid for ancestor in youngest.ancestors]
    assert len(chain) == 4 and chain[-1] == 1 and chain[0] == youngest.parent_goid
    assert [a.created_by and a.created_by.function for a in youngest.ancestors] == [
        "main.spawn",
        "main.spawn",
        "main.parkShapes",
        None,
    ]
    assert [frame.function for frame in youngest.ancestors[-1].stack] == ["main.parkShapes", "main.main"]
    assert not any(frame.inlined for ancestor in youngest.ancestors for frame in ancestor.stack)
    elders = {g.goid: g for g in goroutines if g.goid in chain[:-1]}
    assert [len(elders[goid].ancestors) for goid in chain[:-1]] == [3, 2, 1]
    assert youngest.stack == (Frame("main.spawn", "example.com/waits/shapes.go", 68),)


@pytest.mark.parametrize("release", LEAK_RELEASES)
def test_leaked_goroutines(release: str) -> None:
    goroutines = decode_goroutine_dump(content(release, "goroutineleak.2.txt")).goroutines
    leaked = {(g.stack[0].function, g.wait_reason) for g in goroutines if g.leaked}
    assert leaked >= {
        ("main.leak.func1", "chan send"),
        ("main.leak.func2", "chan receive"),
        ("main.leak.func3", "select"),
        ("main.parkChannels.func10", "select (no cases)"),
        ("main.parkChannels.func4", "chan receive (nil chan)"),
    }
    assert not any(g.leaked for g in at(goroutines, "main.receiver"))


@pytest.mark.parametrize("release", RELEASES)
def test_a_crash_of_all_levels_shows_the_same_stacks(release: str) -> None:
    plain = decode_goroutine_dump(content(release, "crash-all.txt")).goroutines
    system = decode_goroutine_dump(content(release, "crash-system.txt")).goroutines
    for function in ("main.receiver", "main.inlineInner", "net/http.(*persistConn).readLoop"):
        assert {g.stack for g in at(plain, function)} == {g.stack for g in at(system, function)} != set()
    (forcer,) = [g for g in system if g.wait_reason == "force gc (idle)"]
    assert [frame.function for frame in forcer.stack] == [
        "runtime.gopark",
        "runtime.goparkunlock",
        "runtime.forcegchelper",
    ]


def test_text_around_the_goroutines_is_skipped() -> None:
    dump = decode_goroutine_dump(
        b"2024/01/02 15:04:05 goroutine trouble ahead\n"
        b"panic: boom\n\n"
        b"goroutine 7 [running]:\nmain.f(0x1)\n\t/src/a.go:5 +0x1d\n\n"
        b"2024/01/02 15:04:06 a log line got between\n"
        b"goroutine 8 [select]:\nmain.g()\n\t/src/a.go:9 +0x2\n\n"
        b"rax    0x0\nrip    0x46d0b1\nexit status 2\n"
    )
    assert [(g.goid, g.stack) for g in dump.goroutines] == [
        (7, (Frame("main.f", "/src/a.go", 5),)),
        (8, (Frame("main.g", "/src/a.go", 9),)),
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("[select]", ("select", None, False, False)),
        ("[chan receive (nil chan), 12 minutes]", ("chan receive (nil chan)", 12, False, False)),
        ("[syscall, 3 minutes, locked to thread]", ("syscall", 3, True, False)),
        ("[running, locked to thread]", ("running", None, True, False)),
        ("[waiting (scan)]", ("waiting", None, False, False)),
        ("[chan send (leaked)]", ("chan send", None, False, True)),
        ("[select (no cases) (leaked) (scan)]", ("select (no cases)", None, False, True)),
        ("[select (durable), synctest bubble 4]", ("select (durable)", None, False, False)),
        ("[sleep, synctest group 18]", ("sleep", None, False, False)),
        ("[leaked (leaked)]", ("leaked", None, False, True)),
        ("[GC worker (idle)]", ("GC worker (idle)", None, False, False)),
        ("[???]", ("???", None, False, False)),
    ],
)
def test_headers(header: str, expected: tuple[str, int | None, bool, bool]) -> None:
    for number in ("goroutine 5 ", "goroutine 5 gp=0xc000002380 m=nil ", "goroutine 5 gp=0xc0 m=0 mp=0x5c "):
        goroutine = only(f"{number}{header}:\nmain.f()\n\t/src/a.go:5\n")
        found = (
            goroutine.wait_reason,
            goroutine.wait_minutes,
            goroutine.locked_to_thread,
            goroutine.leaked,
        )
        assert (goroutine.goid, found) == (5, expected)


@pytest.mark.parametrize(
    "header",
    [
        '[select, 2 minutes labels:{"route": "/a]b", "k": "v"}]',
        '[select, 2 minutes] {k: v, route: "/a]b"}',
    ],
)
def test_label_spellings_of_both_releases(header: str) -> None:
    goroutine = only(f"goroutine 5 {header}:\nmain.f()\n\t/src/a.go:5\n")
    assert (goroutine.wait_reason, goroutine.wait_minutes) == ("select", 2)
    assert goroutine.labels == (("k", "v"), ("route", "/a]b"))


@pytest.mark.parametrize(
    ("call", "frame"),
    [
        ("main.f()", Frame("main.f", "/src/a.go", 5)),
        ("main.f(0x1, {0xc000012345?, 0x5}, _, ...)", Frame("main.f", "/src/a.go", 5)),
        ("main.f({0xc000012345?, 0x5})", Frame("main.f", "/src/a.go", 5)),
        ("main.f(_)", Frame("main.f", "/src/a.go", 5)),
        ("main.(*T[...]).m(0xc000012345)", Frame("main.(*T[...]).m", "/src/a.go", 5)),
        ("main.(*T).m-fm()", Frame("main.(*T).m-fm", "/src/a.go", 5)),
        ("main.glob..func1()", Frame("main.glob..func1", "/src/a.go", 5)),
        ("example.com/v2%2ex.f(0x1)", Frame("example.com/v2%2ex.f", "/src/a.go", 5)),
        ("syscall.Syscall6(0x1)", Frame("syscall.Syscall6", "/src/a.go", 5)),
    ],
)
def test_calls(call: str, frame: Frame) -> None:
    assert only(f"goroutine 5 [select]:\n{call}\n\t/src/a.go:5 +0x1d\n").stack == (frame,)


def test_inlined_calls() -> None:
    goroutine = only(
        "goroutine 5 [select]:\n"
        "main.inner(...)\n\t/src/a.go:5\n"
        "main.outer(0x1)\n\t/src/a.go:9 +0x1d\n"
        "main.entry(...)\n\t/src/a.go:12\n"
        "created by main.main in goroutine 1\n\t/src/main.go:40 +0x85\n"
    )
    # The last one was inlined into a wrapper Go does not show.
    assert [frame.inlined for frame in goroutine.stack] == [True, False, False]
    assert goroutine.created_by == Frame("main.main", "/src/main.go", 40)
    assert goroutine.parent_goid == 1


def test_arguments_do_not_make_different_stacks() -> None:
    dump = decode_goroutine_dump(
        b"\n".join(
            b"goroutine %d [select]:\nmain.f(0x%x, {0x%x, ...})\n\t/src/(0) a.go:5 +0x1d\n"
            b"created by main.main in goroutine %d\n\t/src/(0) b.go:6 +0x1d\n"
            % (number, number, number, number)
            for number in range(1, 5)
        )
    )
    assert {id(g.stack) for g in dump.goroutines} == {id(dump.goroutines[0].stack)}
    assert {id(g.created_by) for g in dump.goroutines} == {id(dump.goroutines[0].created_by)}
    assert dump.goroutines[0].stack[0].file == "/src/(0) a.go"
    assert [g.parent_goid for g in dump.goroutines] == [1, 2, 3, 4]


def test_a_goroutine_on_another_thread_has_no_stack() -> None:
    goroutine = only(
        "goroutine 5 [running]:\n"
        "\tgoroutine running on other thread; stack unavailable\n"
        "created by main.main in goroutine 1\n\t/src/a.go:5 +0x1d\n"
    )
    assert goroutine.stack == ()
    assert goroutine.created_by == Frame("main.main", "/src/a.go", 5)


def test_c_frames() -> None:
    goroutine = only(
        "goroutine 5 [syscall]:\n"
        "non-Go function at pc=0x7f21c0de\n"
        "pause\n\t/src/c.c:7 pc=0x7f21c0df\n"
        "non-Go function\n\tpc=0x7f21c0e0\n"
        "main._Cfunc_wait()\n\t_cgo_gotypes.go:56 +0x3a\n"
    )
    assert goroutine.stack == (
        Frame("0x7f21c0de", pc=0x7F21C0DE),
        Frame("pause", "/src/c.c", 7),
        Frame("non-Go function"),
        Frame("main._Cfunc_wait", "_cgo_gotypes.go", 56),
    )


def test_system_frames_and_addresses_are_taken_off() -> None:
    goroutine = only(
        "goroutine 5 gp=0xc0 m=nil [select]:\n"
        "runtime.gopark(0x1?)\n\truntime/proc.go:474 +0xca fp=0xc0 sp=0xc0 pc=0x48\n"
        "main.f(0x1?)\n\t/src/a.go:5 +0xca fp=0xc0 sp=0xc0 pc=0x48\n"
        "runtime.goexit({})\n\truntime/asm_amd64.s:1264 +0x1 fp=0xc0 sp=0xc0 pc=0x48\n"
    )
    assert goroutine.stack == (Frame("main.f", "/src/a.go", 5),)


def test_elided_frames_and_ancestors() -> None:
    goroutine = only(
        "goroutine 5 [select]:\n"
        "main.f()\n\t/src/a.go:5 +0x1d\n"
        "...107 frames elided...\n"
        "main.g()\n\t/src/a.go:7 +0x1d\n"
        "created by main.h in goroutine 4\n\t/src/a.go:9 +0x1d\n"
        "[originating from goroutine 4]:\n"
        "main.h(...)\n\t/src/a.go:9 +0x1d\n"
        "...additional frames elided...\n"
        "created by main.main\n\t/src/a.go:11 +0x1d\n"
        "[originating from goroutine 1]:\n"
        "main.main(...)\n\t/src/a.go:11 +0x1d\n"
    )
    assert goroutine.elided == 107
    assert [frame.function for frame in goroutine.stack] == ["main.f", "main.g"]
    assert goroutine.parent_goid == 4
    assert goroutine.ancestors == (
        Ancestor(4, (Frame("main.h", "/src/a.go", 9),), Frame("main.main", "/src/a.go", 11)),
        Ancestor(1, (Frame("main.main", "/src/a.go", 11),)),
    )
    unnumbered = only("goroutine 5 [select]:\nmain.f()\n\t/src/a.go:5\n...additional frames elided...\n")
    assert unnumbered.elided == -1


def test_names_are_made_printable() -> None:
    goroutine = only("goroutine 5 [sel\x1b[0mect]:\nmain.\x1b[31mf()\n\t/src/\x07a.go:5 +0x1d\n")
    frame = goroutine.stack[0]
    assert frame.function.isprintable() and frame.file.isprintable() and goroutine.wait_reason.isprintable()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty response, not a goroutine dump"),
        (b"<html>goroutine 5</html>", "an HTML page, not a goroutine dump"),
        (b"404 page not found\n", "plain text, not a goroutine dump"),
        (content("go1.26", "goroutine.1.txt"), r"a profile in text form \(debug=1\), not a goroutine dump"),
        (content("go1.26", "goroutine.0.pb"), "binary data of another kind, not a goroutine dump"),
    ],
)
def test_what_is_no_dump_is_said_in_words(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode_goroutine_dump(data)


def test_a_full_buffer_is_a_truncated_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = content("go1.26", "goroutine.2.txt")
    complete = decode_goroutine_dump(whole).goroutines
    limit = whole.index(b"\n", 20_000) + 1  # cut after a whole line: only the size gives it away
    monkeypatch.setattr(goroutine_text, "DUMP_LIMIT_BYTES", limit)
    dump = decode_goroutine_dump(whole[:limit])
    assert dump.truncated
    assert 0 < len(dump.goroutines) < len(complete)
    assert dump.goroutines == complete[: len(dump.goroutines)]


def test_the_number_of_goroutines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goroutine_text, "MAX_GOROUTINES", 10)
    dump = decode_goroutine_dump(content("go1.26", "goroutine.2.txt"))
    assert dump.truncated and len(dump.goroutines) == 10


def test_a_dump_cut_anywhere_gives_the_goroutines_before_the_cut() -> None:
    whole = content("go1.26", "debug-goroutine.2.txt")
    text = whole[: whole.index(b"\n\n", 2000) + 1]
    complete = decode_goroutine_dump(text).goroutines
    for length in range(len(text)):
        try:
            dump = decode_goroutine_dump(text[:length])
        except DecodeError:
            assert not re.match(rb"goroutine \d+ \[", text[:length])
            continue
        if text[length - 1 : length] != b"\n":
            assert dump.truncated
            assert dump.goroutines == complete[: len(dump.goroutines)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_raise_nothing_but_decode_errors(data: st.DataObject) -> None:
    damaged = bytearray(content("go1.27", "debug-goroutine.2.txt")[-3000:])
    changes = st.tuples(st.integers(0, len(damaged) - 1), st.sampled_from(b"\n\t()[]{}:, 0x\xff\x00gc"))
    for position, byte in data.draw(st.lists(changes, max_size=15)):
        damaged[position] = byte
    try:
        goroutines = decode_goroutine_dump(bytes(damaged)).goroutines
    except DecodeError as error:
        assert str(error).isprintable()
    else:
        for goroutine in goroutines:
            assert all(frame.function.isprintable() for frame in goroutine.stack)


@settings(deadline=None)
@given(st.text(alphabet="goroutine 15[]:\n\t(.)0x{}+acretdby", max_size=200))
def test_noise_behind_a_header_raises_nothing(text: str) -> None:
    decode_goroutine_dump(b"goroutine 1 [running]:\n" + text.encode())
