"""Delve's JSON-RPC: framing, values, stacks and stops."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.errors import DecodeError, LeaktuiError, LimitExceeded
from leaktui.model.frame import Frame
from leaktui.wire.delve.framing import LineCutter, decode_answer, encode_request
from leaktui.wire.delve.stacks import decode_goroutine, decode_inspected_frame, decode_wait_reason
from leaktui.wire.delve.states import decode_breakpoint, decode_stop
from leaktui.wire.delve.variables import decode_variable, format_value

_INT, _MAP, _POINTER, _SLICE, _STRING, _STRUCT = 2, 21, 22, 23, 24, 25


def test_a_request_is_one_object() -> None:
    message = json.loads(encode_request(3, "Eval", {"Expr": "x"}))
    assert message == {"method": "RPCServer.Eval", "params": [{"Expr": "x"}], "id": 3}


def test_answers_come_in_pieces() -> None:
    cutter = LineCutter()
    assert cutter.feed(b'{"id":1,"res') == []
    assert cutter.feed(b'ult":5}\n{"id":2') == [b'{"id":1,"result":5}']
    assert cutter.feed(b"}\n\n") == [b'{"id":2}', b""]


def test_an_answer_without_an_end_is_refused() -> None:
    cutter = LineCutter(limit=100)
    with pytest.raises(LimitExceeded):
        for _ in range(20):
            cutter.feed(b"x" * 10)


@pytest.mark.parametrize(
    "line", [b"", b"\xff\x00", b"[]", b"{}", b'{"id":"1"}', b'{"id":true}', b"[" * 100_000]
)
def test_garbage_is_a_decode_error(line: bytes) -> None:
    with pytest.raises(DecodeError, match="Delve answered"):
        decode_answer(line)


def test_an_error_is_safe_to_print() -> None:
    answer = decode_answer(b'{"id":4,"result":null,"error":"no \\u001b[31m such"}')
    assert (answer.number, answer.error) == (4, "no \\x1b[31m such")


def variable(kind: int, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "addr": 64, **fields}


def test_values_of_every_shape() -> None:
    number = variable(_INT, name="n", type="int", value="7")
    text = variable(_STRING, name="s", type="string", value="bolt", len=400, base=1)
    items = variable(_SLICE, name="l", type="[]string", len=40, cap=64, base=1, children=[text])
    holder = variable(_STRUCT, name="o", type="main.order", len=3, children=[number, text, items])
    pointer = variable(_POINTER, name="p", type="*main.order", children=[holder])
    decoded = decode_variable(pointer)
    assert decoded.value == "0x40"
    (order,) = decoded.children
    assert [child.name for child in order.children] == ["n", "s", "l"]
    assert order.children[1].length == 400
    assert (order.children[2].length, len(order.children[2].children)) == (40, 1)
    assert format_value(decoded) == '&{n: 7, s: "bolt", l: {"bolt", …}}'


def test_a_map_shows_its_keys() -> None:
    key = variable(_STRING, type="string", value="bolt", len=4, base=1)
    value = variable(_INT, type="int", value="3")
    weights = decode_variable(
        variable(_MAP, name="w", type="map[string]int", len=1, base=1, children=[key, value])
    )
    assert [(child.name, child.value) for child in weights.children] == [('["bolt"]', "3")]


def test_nil_and_not_loaded_differ() -> None:
    nowhere = variable(_STRUCT, type="main.order", addr=0)
    assert decode_variable(variable(_POINTER, type="*main.order", children=[nowhere])).value == "nil"
    elsewhere = variable(_STRUCT, type="main.order", onlyAddr=True)
    assert decode_variable(variable(_POINTER, type="*main.order", children=[elsewhere])).value == "0x40"
    assert decode_variable(variable(_SLICE, type="[]int", base=0)).value == "nil"
    assert decode_variable(variable(_SLICE, type="[]int", base=1)).value == ""


def test_what_the_compiler_dropped_has_no_value() -> None:
    dropped = decode_variable(
        variable(_INT, name="n", type="int", unreadable="could not find loclist entry at 0x1")
    )
    assert dropped.unreadable == "the compiler keeps it nowhere at this place"
    assert "7" not in format_value(dropped)


def test_a_frame_with_its_deferred_calls() -> None:
    release = {"pc": 5, "file": "m.go", "line": 9, "function": {"name": "main.release"}}
    item = {
        "pc": 70,
        "file": "m.go",
        "line": 20,
        "function": {"name": "main.hold"},
        "Arguments": [variable(_INT, name="n", type="int", value="7")],
        "Defers": [
            {"DeferredLoc": release, "DeferLoc": {"file": "m.go", "line": 18}},
            {"Unreadable": "torn"},
        ],
    }
    frame = decode_inspected_frame(item)
    assert frame.frame == Frame("main.hold", "m.go", 20, 70)
    assert frame.deferred[0].function.function == "main.release"
    assert frame.deferred[0].deferred_by is not None
    assert frame.deferred[0].deferred_by.line == 18
    assert frame.deferred[1].function.function == "(torn)"


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (4, 1, "chan receive"),
        (0x1004, 1, "chan receive"),
        (2, 0, "running"),
        (3, 9, "syscall"),
        (4, 99, "wait reason 99"),
    ],
)
def test_wait_reasons_are_the_runtimes_own(status: int, reason: int, said: str) -> None:
    assert decode_wait_reason(status, reason, {1: "chan receive"}) == said


def test_a_goroutine_of_a_listing() -> None:
    place = {"pc": 1, "file": "m.go", "line": 3, "function": {"name": "main.wait"}}
    item = {
        "id": 9,
        "status": 4,
        "waitReason": 1,
        "userCurrentLoc": place,
        "goStatementLoc": place,
        "labels": {"a": "b"},
    }
    goroutine = decode_goroutine(item, {1: "select"})
    assert (goroutine.goid, goroutine.wait_reason, goroutine.labels) == (9, "select", (("a", "b"),))
    assert goroutine.created_by is not None


def test_every_thread_at_a_tracepoint_is_a_hit() -> None:
    place = {"pc": 1, "file": "m.go", "line": 3, "function": {"name": "main.keep"}}
    size = variable(_INT, name="size", type="uintptr", value="40960")
    result = variable(_INT, name="~r0", type="int", value="99", flags=1 << 4)
    hit = {
        "id": 1,
        "goroutineID": 4,
        "pc": 1,
        "breakPoint": {"id": 2},
        "breakPointInfo": {"arguments": [size, result], "stacktrace": [place]},
    }
    bare = {"id": 3, "goroutineID": 5, "pc": 2}
    own = {"id": 4, "goroutineID": 6, "breakPoint": {"id": -1}}
    stop = decode_stop({"State": {"Running": False, "Threads": [hit, bare, own, hit]}})
    assert [item.breakpoint_id for item in stop.hits] == [2, 2]
    assert [argument.name for argument in stop.hits[0].arguments] == ["size"]


def test_states() -> None:
    assert decode_stop({"State": {"Running": True}}).running
    exited = decode_stop({"State": {"exited": True, "exitStatus": 3}})
    assert (exited.exited, exited.exit_status) == (True, 3)
    assert decode_breakpoint({"id": 3, "functionName": "f", "addrs": [16, 32]}).addresses == (16, 32)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "State",
                    "Threads",
                    "breakPoint",
                    "breakPointInfo",
                    "id",
                    "kind",
                    "children",
                    "value",
                    "Defers",
                    "exited",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_json)
def test_any_json_decodes_or_is_refused(value: Any) -> None:
    for decode in (decode_stop, decode_variable, decode_inspected_frame, decode_breakpoint):
        if isinstance(value, dict) or decode is decode_stop:
            with suppress(LeaktuiError):
                decode(value)
