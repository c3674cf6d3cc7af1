"""The interpreter on hand-written functions: every rule on its own, and every way in which it must give up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from leaktui.binary.flow.facts import Facts
from leaktui.binary.flow.program import Program
from leaktui.binary.flow.state import Condition, State, Status
from leaktui.binary.flow.values import (
    BODY_DATA,
    ERROR,
    NIL,
    RESPONSE_POINTER,
    Constant,
    Flag,
    Pointer,
    Region,
)
from leaktui.binary.value_flow import Site, ValueFlow
from leaktui.binary.x86_instruction import RAX, RBX, RCX, RDX
from tests.binary.machine_code import HandWritten

GET = "net/http.(*Client).Get"
RET = "c3"
ERROR_CHECK = "48 85 db"  # TEST RBX, RBX
LOAD_BODY = ("48 8b 48 40", "48 8b 40 48")  # MOV RCX, [RAX+0x40]; MOV RAX, [RAX+0x48]
CLOSE = ("48 8b 49 18", "ff d1")  # MOV RCX, [RCX+0x18]; CALL RCX
READ = ("48 8b 49 20", "ff d1")


def walk(body: Sequence[str], *, steps: int = 10_000, **others: Sequence[str]) -> Facts:
    """The facts of a function with *body*, which calls the client once."""
    runtime = {f"runtime.{name}": (RET,) for name in ("deferprocStack", "deferreturn", "newproc")}
    helpers = {f"main.{name}": code for name, code in others.items()}
    program = HandWritten({"main.f": body, GET: (RET,), **runtime, **helpers})
    flow = ValueFlow(Program(program), steps=steps)
    code = flow.program.code_of(program.function("main.f"))
    assert code is not None
    (return_pc,) = program.return_pcs["main.f", GET]
    flow.walk_from_call(code, Site(return_pc, ((RAX, RESPONSE_POINTER), (RBX, ERROR), (RCX, ERROR))))
    return flow.facts


def statuses(facts: Facts) -> set[Status]:
    return {end.status for end in facts.exits}


def test_close_is_the_first_method_of_the_bodys_itab() -> None:
    facts = walk([f"@{GET}", *LOAD_BODY, *CLOSE, RET])
    assert len(facts.closes) == 1
    assert statuses(facts) == {Status.CLOSED}
    assert not facts.gaps


def test_read_is_not_close() -> None:
    facts = walk([f"@{GET}", *LOAD_BODY, *READ, RET])
    assert not facts.closes
    assert len(facts.reads) == 1
    assert statuses(facts) == {Status.OPEN}


def test_the_path_with_an_error_has_no_response() -> None:
    # TEST RBX, RBX; JNE to the RET; close; RET
    closed = walk([f"@{GET}", ERROR_CHECK, "75 0e", *LOAD_BODY, *CLOSE, RET, RET])
    assert statuses(closed) == {Status.CLOSED}
    # JE instead: the same code closes only what is not there.
    unclosed = walk([f"@{GET}", ERROR_CHECK, "74 0e", *LOAD_BODY, *CLOSE, RET, RET])
    assert statuses(unclosed) == {Status.OPEN}


def test_a_condition_that_is_not_known_is_walked_both_ways() -> None:
    # CMP QWORD [RAX+0x10], 200; JNE to the RET; close; RET
    facts = walk([f"@{GET}", "48 81 78 10 c8 00 00 00", "75 0e", *LOAD_BODY, *CLOSE, RET, RET])
    assert statuses(facts) == {Status.OPEN, Status.CLOSED}
    assert all("response" in dict(end.results).values() for end in facts.exits if end.status is Status.OPEN)


def test_stack_slots_outlive_calls_and_registers_do_not() -> None:
    spill, reload = "48 89 44 24 08", "48 8b 44 24 08"
    assert statuses(
        walk([f"@{GET}", spill, "@main.other", reload, *LOAD_BODY, *CLOSE, RET], other=(RET,))
    ) == {Status.CLOSED}
    assert not walk([f"@{GET}", "@main.other", *LOAD_BODY, *CLOSE, RET], other=(RET,)).closes


def test_a_helper_that_takes_the_response_is_followed() -> None:
    facts = walk([f"@{GET}", "@main.drain", RET], drain=(*LOAD_BODY, *CLOSE, RET))
    assert statuses(facts) == {Status.CLOSED}
    assert {passed.callee for passed in facts.passed} == {"main.drain"}


def test_a_helper_that_takes_nothing_is_not_given_what_lies_about() -> None:
    facts = walk([f"@{GET}", "@main.other", "31 c0", RET], other=("31 c0", RET))
    assert not facts.passed
    assert statuses(facts) == {Status.OPEN}


CLOSING_CLOSURE = ("48 8b 4a 08", "48 8b 42 10", *CLOSE, RET)
"""MOV RCX, [RDX+8]; MOV RAX, [RDX+0x10]; call Close: what `defer resp.Body.Close()` compiles to."""
CAPTURE = (
    "48 8b 48 40",  # MOV RCX, [RAX+0x40]
    "48 8b 50 48",  # MOV RDX, [RAX+0x48]
    "&main.closing",
    "48 89 74 24 58",  # MOV [RSP+0x58], RSI
    "48 89 4c 24 60",  # MOV [RSP+0x60], RCX
    "48 89 54 24 68",  # MOV [RSP+0x68], RDX
    "48 8d 54 24 58",  # LEA RDX, [RSP+0x58]
)


def test_a_deferred_closure_runs_at_deferreturn() -> None:
    # MOV [RSP+0x30], RSI; MOV [RSP+0x38], RDX; LEA RAX, [RSP+0x20]: the record has a code address, which is
    # no func value, at 0x10, its fn at 0x18, and the closure behind it.
    register = ("48 89 74 24 30", "48 89 54 24 38", "48 8d 44 24 20", "@runtime.deferprocStack")
    closed = walk([f"@{GET}", *CAPTURE, *register, "@runtime.deferreturn", RET], closing=CLOSING_CLOSURE)
    assert statuses(closed) == {Status.CLOSED}
    assert closed.deferred_closes == closed.closes != set()
    assert statuses(walk([f"@{GET}", *CAPTURE, *register, RET], closing=CLOSING_CLOSURE)) == {Status.OPEN}


def test_a_goroutine_that_closes_closes() -> None:
    start = ("48 89 d0", "@runtime.newproc")  # MOV RAX, RDX
    assert statuses(walk([f"@{GET}", *CAPTURE, *start, RET], closing=CLOSING_CLOSURE)) == {Status.CLOSED}
    forgets = walk([f"@{GET}", *CAPTURE, *start, RET], closing=("48 8b 4a 08", RET))
    assert statuses(forgets) == {Status.STORED}
    assert {stored.where for stored in forgets.stores} == {"goroutine"}


def test_a_store_through_an_unknown_pointer_hands_the_response_on() -> None:
    facts = walk([f"@{GET}", "48 8b 15 00 10 00 00", "48 89 02", "31 c0", RET])
    assert {stored.where for stored in facts.stores} == {"heap"}
    assert statuses(facts) == {Status.STORED}


def test_a_replaced_body_is_noticed() -> None:
    # MOV [RAX+0x48], RDX with RDX unknown: the response leads nowhere any more.
    facts = walk([f"@{GET}", "48 89 50 48", RET])
    assert len(facts.replacements) == 1
    assert [end.kept for end in facts.exits] == [False]


def test_a_response_that_the_next_turn_of_a_loop_overwrites() -> None:
    facts = walk([f"@{GET}", "eb f9"])
    assert [end.overwritten for end in facts.exits] == [True]
    assert statuses(facts) == {Status.OPEN}


def test_an_unknown_opcode_is_a_gap() -> None:
    assert walk([f"@{GET}", "06", RET]).gaps


def test_a_helper_that_cannot_be_decoded_makes_the_path_unsure() -> None:
    assert statuses(walk([f"@{GET}", "@main.odd", RET], odd=("48 8b 48 40", "06", RET))) == {Status.UNSURE}


def test_a_helper_that_calls_itself_makes_the_path_unsure() -> None:
    facts = walk([f"@{GET}", "@main.again", RET], again=("48 8b 48 40", "@main.again", RET))
    assert Status.CLOSED not in statuses(facts)
    assert Status.OPEN not in statuses(facts)


def test_the_budget_ends_the_walk_and_is_a_gap() -> None:
    facts = walk([*["90"] * 50, f"@{GET}", *["90"] * 50, RET], steps=60)
    assert "the budget was spent" in facts.gaps


def test_many_flags_do_not_make_endless_paths() -> None:
    # Twenty bools set on some paths: CMP [RDX], 0; JE over; MOV BYTE [RSP+8+i], 1.
    body = [f"@{GET}"]
    for number in range(20):
        body += ["48 83 3a 00", "74 05", f"c6 44 24 {8 + number:02x} 01"]
    facts = walk([*body, RET])
    assert "too many paths" in facts.gaps


@pytest.mark.parametrize(
    ("condition", "difference", "met"),
    [
        (4, 0, True),
        (5, 0, False),
        (12, -1, True),
        (13, -1, False),
        (14, 0, True),
        (15, 3, True),
        (2, 1, None),
    ],
)
def test_conditions_of_known_numbers(condition: int, difference: int, met: bool | None) -> None:
    test = Condition(Constant(1), zero=difference == 0, difference=difference)
    assert test.decides(condition) is met


def test_join_keeps_what_both_paths_agree_on() -> None:
    one, two = State(), State()
    slot = (Region("stack"), 8)
    one.registers = {RAX: RESPONSE_POINTER, RDX: Constant(1)}
    two.registers = {RAX: RESPONSE_POINTER, RDX: Constant(2)}
    one.memory[slot] = NIL
    assert one.key() == two.key()
    assert one.join(two)
    assert one.registers == {RAX: RESPONSE_POINTER}
    assert not one.memory
    assert not one.join(two)


def test_paths_that_differ_in_the_response_have_different_keys() -> None:
    one, two = State(), State()
    one.registers[RAX] = BODY_DATA
    assert one.key() != two.key()
    one, two = State(), State()
    one.memory[Region("stack"), 8] = Flag(1)
    two.memory[Region("stack"), 8] = Flag(0)
    assert one.key() != two.key()


def test_an_object_that_holds_the_body_reaches_it() -> None:
    state = State()
    state.open_response()
    made = Pointer(Region("heap", 1), 0)
    assert state.reaches(RESPONSE_POINTER) == "response"
    assert state.reaches(made) is None
    state.memory[made.region, 16] = RESPONSE_POINTER
    assert state.reaches(made) == "wrapped"
