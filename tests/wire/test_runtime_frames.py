"""Which frames a goroutine dump shows."""

from __future__ import annotations

import pytest

from leaktui.model.frame import Frame, Stack
from leaktui.wire.runtime_frames import hide_runtime_frames, is_runtime_function, printed_function


def stack(*functions: str) -> Stack:
    return tuple(Frame(function, "x.go", 1) for function in functions)


@pytest.mark.parametrize(
    ("symbol", "printed"),
    [
        ("main.f", "main.f"),
        ("main.f[go.shape.int]", "main.f[...]"),
        ("main.(*T[go.shape.[]uint8,a.b/c.D]).m.func1", "main.(*T[...]).m.func1"),
        ("main.a[go.shape.int].b[go.shape.int]", "main.a[...]"),
        ("main.f[", "main.f["),
        ("main.f]x[", "main.f]x["),
    ],
)
def test_type_arguments_are_not_printed(symbol: str, printed: str) -> None:
    assert printed_function(symbol) == printed


@pytest.mark.parametrize(
    "name",
    [
        "runtime.gopark",
        "runtime.main",
        "runtime.(*scavengerState).park",
        "runtime.(*Frames).next",
        "runtime.goexit",
        "_cgoexp_b5e024f78f59_goCallback",
        "crosscall2",
    ],
)
def test_the_runtime_is_hidden(name: str) -> None:
    assert is_runtime_function(name)


@pytest.mark.parametrize(
    "name",
    [
        "runtime.Gosched",
        "runtime.(*Frames).Next",
        "runtime/pprof.(*Profile).WriteTo",
        "internal/runtime/maps.newTable",
        "sync.runtime_Semacquire",
        "internal/poll.runtime_pollWait",
        "time.Sleep",
        "runtimes.f",
        "pause",  # a C function a symbolizer named
        "0x7f21c0de",
    ],
)
def test_the_rest_is_shown(name: str) -> None:
    assert not is_runtime_function(name)


def test_runtime_frames_vanish_anywhere() -> None:
    recorded = stack("runtime.gopark", "runtime.selectgo", "main.f", "runtime.main", "runtime.goexit")
    assert hide_runtime_frames(recorded) == stack("main.f")


def test_a_panic_in_the_middle_is_a_border_and_an_innermost_one_is_hidden() -> None:
    recorded = stack("runtime.gopark", "main.f.func1", "runtime.gopanic", "runtime.sigpanic", "main.f")
    assert hide_runtime_frames(recorded) == stack("main.f.func1", "panic", "main.f")
    assert hide_runtime_frames(stack("runtime.gopanic", "main.f")) == stack("main.f")


def test_finalizers_and_cleanups_are_always_shown() -> None:
    recorded = stack("runtime.gopark", "main.f", "runtime.runFinalizers", "runtime.goexit")
    assert hide_runtime_frames(recorded) == stack("main.f", "runtime.runFinalizers")


def test_a_stack_of_the_runtime_only_is_kept() -> None:
    recorded = stack("runtime.gopark", "runtime.bgsweep", "runtime.goexit")
    assert hide_runtime_frames(recorded) == stack("runtime.gopark", "runtime.bgsweep")
    assert hide_runtime_frames(()) == ()


def test_compiler_made_wrappers_are_hidden() -> None:
    recorded = stack("main.f", "main.main.deferwrap1", "main.g", "main.main.gowrap12", "runtime.goexit")
    assert hide_runtime_frames(recorded) == stack("main.f", "main.g")
    # All there is of a goroutine that has not run yet.
    assert hide_runtime_frames(stack("main.main.gowrap1", "runtime.goexit")) == stack("main.main.gowrap1")


def test_what_is_shown_already_stays_the_same_object() -> None:
    shown = stack("main.f.func1", "panic", "main.f")
    assert hide_runtime_frames(shown) is shown
