"""Goroutine profiles against the goroutine dumps the same programs wrote a moment later."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.errors import DecodeError
from leaktui.model.goroutine import Goroutine, GoroutineGroup
from leaktui.wire.goroutine_groups import decode_goroutine_debug1, decode_goroutine_groups
from leaktui.wire.goroutine_text import decode_goroutine_dump
from tests.wire.pprof_captures import (
    LEAK_RELEASES,
    RELEASES,
    Lines,
    comparable,
    compressed,
    content,
    lines_of,
)

BUILDS = ("", "cgo-", "debug-")
TENANT = 'a "quoted" one, {braces}: ü'


def count_groups(groups: tuple[GoroutineGroup, ...]) -> Counter[Lines]:
    return comparable((lines_of(group.stack), group.count) for group in groups)


def count_goroutines(goroutines: tuple[Goroutine, ...]) -> Counter[Lines]:
    return comparable((lines_of(goroutine.stack), 1) for goroutine in goroutines)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("release", RELEASES)
def test_groups_of_the_profile_are_the_stacks_of_the_dump(release: str, build: str) -> None:
    groups = decode_goroutine_groups(compressed(release, f"{build}goroutine.0.pb"))
    dump = decode_goroutine_dump(content(release, f"{build}goroutine.2.txt"))
    assert sum(group.count for group in groups) == len(dump.goroutines)
    counted = count_groups(groups)
    assert counted == count_goroutines(dump.goroutines)
    assert counted.total() >= 70  # the comparison did not lose its subject
    # Which calls were inlined agrees as well.
    shown = {lines_of(group.stack): group.stack for group in groups}
    for goroutine in dump.goroutines:
        if lines_of(goroutine.stack) in shown:
            assert goroutine.stack == shown[lines_of(goroutine.stack)]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("release", RELEASES)
def test_wait_reasons_are_those_of_the_dump(release: str, build: str) -> None:
    groups = decode_goroutine_groups(compressed(release, f"{build}goroutine.0.pb"))
    dump = decode_goroutine_dump(content(release, f"{build}goroutine.2.txt"))
    running = ("running", "runnable")
    derived = Counter[str]()
    for group in groups:
        derived[group.wait_reason] += group.count
    printed = Counter("" if g.wait_reason in running else g.wait_reason for g in dump.goroutines)
    assert derived == printed
    assert len(derived) >= 14
    by_stack = {lines_of(g.stack): g.wait_reason for g in dump.goroutines if g.wait_reason not in running}
    for group in groups:
        assert by_stack.get(lines_of(group.stack), group.wait_reason) == group.wait_reason


@pytest.mark.parametrize("release", RELEASES)
def test_every_way_to_park_was_recorded(release: str) -> None:
    reasons = {group.wait_reason for group in decode_goroutine_groups(compressed(release, "goroutine.0.pb"))}
    assert reasons >= {
        "select",
        "select (no cases)",
        "chan receive",
        "chan receive (nil chan)",
        "chan send",
        "chan send (nil chan)",
        "IO wait",
        "sleep",
        "syscall",
        "semacquire",
        "sync.Mutex.Lock",
        "sync.RWMutex.Lock",
        "sync.RWMutex.RLock",
        "sync.Cond.Wait",
    }
    assert ("sync.WaitGroup.Wait" in reasons) == (release != "go1.22")
    assert ("coroutine" in reasons) == (release != "go1.22")


@pytest.mark.parametrize("release", RELEASES)
def test_shapes(release: str) -> None:
    groups = decode_goroutine_groups(compressed(release, "goroutine.0.pb"))
    functions = {tuple(frame.function for frame in group.stack): group for group in groups}
    # Both instantiations of genericWait are parked at one line, in different callers.
    assert ("main.genericWait[...]", "main.parkShapes.func1") in functions
    assert ("main.genericWait[...]", "main.parkShapes.func2") in functions
    assert ("main.parkShapes.func5.1", "panic", "main.parkShapes.func5") in functions
    inlined = functions["main.inlineInner", "main.inlineMiddle", "main.inlineOuter"]
    assert [frame.inlined for frame in inlined.stack] == [True, True, False]
    assert functions[("main.receiver",)].count == 5
    assert functions["time.Sleep", "main.spawn"].count == 3
    read_loops = functions[("net/http.(*persistConn).readLoop",)]
    assert (read_loops.count, read_loops.wait_reason) == (2, "select")


@pytest.mark.parametrize("release", RELEASES)
def test_labels(release: str) -> None:
    labelled: Counter[tuple[tuple[str, str], ...]] = Counter()
    for group in decode_goroutine_groups(compressed(release, "goroutine.0.pb")):
        labelled[group.labels] += group.count
    del labelled[()]
    assert labelled == {
        (("empty", ""), ("route", "/orders"), ("tenant", TENANT)): 2,
        (("empty", ""), ("route", "/users"), ("tenant", TENANT)): 2,
    }


@pytest.mark.parametrize("build", ["", "cgo-"])
@pytest.mark.parametrize("release", RELEASES)
def test_the_text_form_says_the_same(release: str, build: str) -> None:
    groups = decode_goroutine_groups(compressed(release, f"{build}goroutine.0.pb"))
    texts = decode_goroutine_debug1(content(release, f"{build}goroutine.1.txt"))

    def counted(found: tuple[GoroutineGroup, ...]) -> Counter[object]:
        result: Counter[object] = Counter()
        for group in found:
            # The text hides runtime.Gosched, the dump and we do not; the recorder has moved on.
            hidden = group.stack[0].function == "runtime.Gosched"
            stack = group.stack[1:] if hidden else group.stack
            if stack[-1].function != "main.main":
                result[stack, group.labels] += group.count
        return result

    assert counted(groups) == counted(texts)
    known = {lines_of(group.stack): group.wait_reason for group in groups}
    told = [group for group in texts if group.wait_reason]
    assert len(told) > 15
    for group in told:
        assert known[lines_of(group.stack)] == group.wait_reason


@pytest.mark.parametrize("release", LEAK_RELEASES)
def test_the_leak_profile_has_what_the_dump_calls_leaked(release: str) -> None:
    leaked = decode_goroutine_groups(compressed(release, "goroutineleak.0.pb"))
    dump = decode_goroutine_dump(content(release, "goroutineleak.2.txt")).goroutines
    assert count_groups(leaked) == count_goroutines(tuple(g for g in dump if g.leaked))
    assert count_groups(leaked) == count_groups(
        decode_goroutine_debug1(content(release, "goroutineleak.1.txt"))
    )
    named = {(group.stack[0].function, group.count, group.wait_reason) for group in leaked}
    assert named >= {
        ("main.leak.func1", 3, "chan send"),
        ("main.leak.func2", 1, "chan receive"),
        ("main.leak.func3", 1, "select"),
    }


def test_groups_come_largest_first() -> None:
    counts = [group.count for group in decode_goroutine_groups(compressed("go1.26", "goroutine.0.pb"))]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 1


def test_other_profiles_and_texts_are_refused() -> None:
    with pytest.raises(DecodeError, match="not a goroutine profile: its columns are alloc_objects, "):
        decode_goroutine_groups(compressed("go1.26", "heap.0.pb"))
    with pytest.raises(DecodeError, match=r"a profile in text form \(debug=1\), not a profile"):
        decode_goroutine_groups(content("go1.26", "goroutine.1.txt"))
    with pytest.raises(DecodeError, match=r"a goroutine dump \(debug=2\), not a goroutine profile"):
        decode_goroutine_debug1(content("go1.26", "goroutine.2.txt"))
    with pytest.raises(DecodeError, match="an HTML page, not a goroutine profile"):
        decode_goroutine_debug1(b"<html>\n")


def test_a_text_cut_short_loses_the_entry_it_breaks_off_in() -> None:
    text = (
        b"goroutine profile: total 3\n"
        b"2 @ 0x43e0ae 0x4a1b2c\n#\t0x4a1b2b\tmain.f+0x4b\t/src/a b.go:12\n\n"
        b"1 @ 0x43e0ae 0x7f21c0de\n#\t0x7f21c0de\n\n"
    )
    first, second = decode_goroutine_debug1(text)
    assert (first.count, lines_of(first.stack)) == (2, (("main.f", "/src/a b.go", 12),))
    assert lines_of(second.stack) == (("0x7f21c0de", "", 0),)
    assert decode_goroutine_debug1(text[:-2]) == (first,)


SMALL_PROFILE = content("go1.27", "goroutineleak.0.pb")
SMALL_TEXT = content("go1.27", "goroutineleak.1.txt")


@pytest.mark.parametrize("form", ["protobuf", "text"])
def test_input_cut_anywhere_raises_nothing_but_decode_errors(form: str) -> None:
    data, decode = {
        "protobuf": (SMALL_PROFILE, decode_goroutine_groups),
        "text": (SMALL_TEXT, decode_goroutine_debug1),
    }[form]
    whole = sum(group.count for group in decode(data))
    for length in range(len(data)):
        try:
            groups = decode(data[:length])
        except DecodeError as error:
            assert str(error).isprintable()
        else:
            assert sum(group.count for group in groups) <= whole


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_raise_nothing_but_decode_errors(data: st.DataObject) -> None:
    for original, decode in ((SMALL_PROFILE, decode_goroutine_groups), (SMALL_TEXT, decode_goroutine_debug1)):
        damaged = bytearray(original)
        changes = st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255))
        for position, byte in data.draw(st.lists(changes, max_size=10)):
            damaged[position] = byte
        try:
            for group in decode(bytes(damaged)):
                assert all(frame.function.isprintable() for frame in group.stack)
        except DecodeError as error:
            assert str(error).isprintable()
