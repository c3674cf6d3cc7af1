"""Verdicts on stripped binaries of every Go release found, against what the source says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from leaktui.binary.executable import Executable
from leaktui.binary.flow.use import Verdict
from leaktui.binary.response_flow import ResponseFlow, StackUse
from leaktui.errors import EngineUnavailable
from tests.binary.flow_expected import CLIENT, iter_answers, read_expectations, return_pcs
from tests.binary.go_builds import Builder

pytestmark = pytest.mark.go

SHARE = 0.85
"""Call sites that must be judged rightly; the others must be called unknown, never something wrong."""


@pytest.mark.parametrize("flavour", ["stripped", "pie-stripped"])
@pytest.mark.parametrize("program", ["responses", "services"])
def test_no_verdict_is_wrong_and_most_are_given(matrix_builder: Builder, program: str, flavour: str) -> None:
    answers = list(iter_answers(matrix_builder(program, flavour), program))
    counted = Counter(answer.outcome for answer in answers)
    print(f"{matrix_builder.toolchain} {program} {flavour}: {dict(counted)}")
    assert [answer.words for answer in answers if answer.outcome == "wrong"] == []
    assert counted["right"] >= SHARE * len(answers)


@pytest.mark.parametrize("program", ["responses", "services"])
def test_every_expectation_was_asked(matrix_builder: Builder, program: str) -> None:
    asked = {answer.expected.name for answer in iter_answers(matrix_builder(program, "stripped"), program)}
    assert {expected.name for expected in read_expectations(program)} == asked
    assert len(asked) >= 25


@pytest.fixture
def responses(matrix_builder: Builder) -> Iterator[Executable]:
    with Executable.open(matrix_builder("responses", "stripped")) as executable:
        yield executable


def stack_of(flow: ResponseFlow, executable: Executable, functions: tuple[str, ...]) -> list[int]:
    """Return addresses of a stack in which the first function called the HTTP client, the second the first, …"""
    pcs = []
    callees: tuple[str, ...] = CLIENT
    for name in functions:
        caller = executable.find_function(name)
        assert caller is not None, name
        inside = [
            pc
            for callee in callees
            for pc in return_pcs(flow, executable, callee)
            if caller.entry < pc <= caller.end
        ]
        pcs.append(inside[0])
        callees = (name,)
    return pcs


def follow(executable: Executable, *functions: str) -> tuple[StackUse, ...]:
    flow = ResponseFlow(executable)
    return flow.hands_over(stack_of(flow, executable, functions))


@pytest.mark.parametrize(
    ("functions", "verdict"),
    [
        (("main.fetch", "main.useFetch"), Verdict.CLOSED),
        (("main.fetchChecked", "main.useFetchChecked"), Verdict.SOMETIMES_UNCLOSED),
        (("main.fetchChecked", "main.outer", "main.useOuter"), Verdict.NEVER_CLOSED),
        (("main.body", "main.useBody"), Verdict.CLOSED),
        (("main.statusAndResponse", "main.useTwo"), Verdict.CLOSED),
        (("main.(*api).do", "main.(*api).get", "main.useAPI"), Verdict.NEVER_CLOSED),
        (("main.wrapped", "main.useResult"), Verdict.CLOSED),
        (("main.closer", "main.useCloser"), Verdict.CLOSED),
        (("main.limit", "main.useLimited"), Verdict.CLOSED),
        (("main.named", "main.useNamed"), Verdict.NEVER_CLOSED),
        (("main.fetchLeaky", "main.useFetchOrClose"), Verdict.NEVER_CLOSED),
        (("main.fetch", "main.dropFetch"), Verdict.NEVER_CLOSED),
        (("main.request[...]", "main.useGeneric"), Verdict.CLOSED),
    ],
)
def test_a_response_is_followed_to_the_function_that_keeps_it(
    responses: Executable, functions: tuple[str, ...], verdict: Verdict
) -> None:
    uses = follow(responses, *functions)
    assert [use.handed_over for use in uses] == [True] * (len(functions) - 1) + [False]
    assert uses[-1].use.verdict is verdict
    assert uses[-1].frames[uses[-1].owner or 0].function == functions[-1]


@pytest.mark.parametrize(
    ("user", "verdict"), [("useRetrying", Verdict.CLOSED), ("useRetryingNever", Verdict.NEVER_CLOSED)]
)
def test_a_response_shown_to_unknown_code_and_then_returned_is_the_callers(
    responses: Executable, user: str, verdict: Verdict
) -> None:
    """Whether the hook closes it is not known: the verdict says so. Whose it is afterwards, is."""
    retrying, keeper = follow(responses, "main.retrying", f"main.{user}")
    assert retrying.handed_over is True
    assert retrying.use.verdict is Verdict.UNKNOWN
    assert retrying.use.closes_body
    assert keeper.use.verdict is verdict
    assert keeper.frames[keeper.owner or 0].function == f"main.{user}"


@pytest.mark.parametrize("function", ["main.inError", "main.checked"])
def test_an_error_that_holds_the_response_hands_nothing_over(responses: Executable, function: str) -> None:
    """Who gets it can print it; that he would close a body in it, nobody expects."""
    (use,) = follow(responses, function)
    assert use.handed_over is False
    assert use.use.verdict is Verdict.SOMETIMES_UNCLOSED
    assert use.use.unclosed_exits


def test_a_function_that_keeps_the_response_ends_the_stack(responses: Executable) -> None:
    flow = ResponseFlow(responses)
    pcs = stack_of(flow, responses, ("main.earlyReturn",))
    uses = flow.hands_over([*pcs, *stack_of(flow, responses, ("main.fetch",))])
    assert len(uses) == 1
    assert uses[0].handed_over is False


@pytest.mark.parametrize(
    ("function", "what"), [("main.fetch", "response"), ("main.body", "body"), ("main.wrapped", "wrapped")]
)
def test_what_is_handed_over(responses: Executable, function: str, what: str) -> None:
    (use,) = (follow_use.use for follow_use in follow(responses, function))
    assert {form for _, form in use.results} == {what}
    assert [use.returns_response, use.returns_body, use.returns_wrapped] == [
        what == form for form in ("response", "body", "wrapped")
    ]


def test_a_wrapper_that_leaks_on_one_path_hands_over_on_the_other(responses: Executable) -> None:
    (use,) = follow(responses, "main.fetchLeaky")
    assert use.handed_over
    assert use.use.verdict is Verdict.SOMETIMES_UNCLOSED
    assert use.use.unclosed_exits


def test_an_inlined_wrapper_is_not_the_owner(responses: Executable) -> None:
    (use,) = follow(responses, "main.useThin")
    assert [frame.function for frame in use.frames][-2:] == ["main.thin", "main.useThin"]
    assert use.owner == len(use.frames) - 1
    assert use.use.verdict is Verdict.SOMETIMES_UNCLOSED


@pytest.mark.parametrize(
    ("function", "drops", "closes"),
    [
        ("main.modifyDrops", True, False),
        ("main.modifyCloses", False, True),
        ("main.modifyKeeps", False, False),
    ],
)
def test_a_response_that_is_an_argument(
    responses: Executable, function: str, drops: bool, closes: bool
) -> None:
    found = responses.find_function(function)
    assert found is not None
    use = ResponseFlow(responses).use_of_argument(found, 0)
    assert use is not None
    assert use.complete
    assert use.drops_replaced_body is drops
    assert bool(use.closes_body) is closes
    assert bool(use.replaces_body) is (drops or closes)


@pytest.mark.parametrize(
    ("transport", "drops", "handed"),
    [("replacing", True, False), ("replacingClosing", False, False), ("countingTransport", False, True)],
)
def test_a_round_tripper_owns_the_body_it_dropped(
    responses: Executable, transport: str, drops: bool, handed: bool
) -> None:
    (use,) = follow(responses, f"main.{transport}.RoundTrip")
    assert use.use.replaces_body
    assert use.use.drops_replaced_body is drops
    assert use.handed_over is handed


def test_a_deferred_close_in_a_loop_is_told_apart(responses: Executable) -> None:
    (endless,) = follow(responses, "main.deferEndless")
    assert endless.use.defers_in_loop
    assert endless.use.verdict is Verdict.NEVER_CLOSED
    (once,) = follow(responses, "main.deferClose")
    assert once.use.defers_close
    assert not once.use.defers_in_loop


def test_stores_say_where(responses: Executable) -> None:
    for function, where in (
        ("main.inGlobal", "global"),
        ("main.inMap", "heap"),
        ("main.inChannel", "channel"),
    ):
        (use,) = follow(responses, function)
        assert {store.where for store in use.use.stores} == {where}, function
        assert use.use.verdict is Verdict.HANDED_OVER


def test_an_address_outside_the_program_has_no_use(responses: Executable) -> None:
    flow = ResponseFlow(responses)
    assert flow.use_at(0x10) is None
    assert flow.hands_over([0x10]) == ()
    assert flow.hands_over([]) == ()


def test_other_machines_are_refused_in_one_sentence(builder: Builder) -> None:
    path = builder("responses", "stripped", goarch="arm64")
    with Executable.open(path) as executable, pytest.raises(EngineUnavailable, match="amd64 only, not arm64"):
        ResponseFlow(executable)
