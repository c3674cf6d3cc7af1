"""Which line owns a body: outwards past the library, wrappers, and functions that hand it on."""

from __future__ import annotations

import pytest

from leaktui.analysis.attribution import Shares, owner_of_body, user_chain
from leaktui.analysis.program import HandOver, ResponseStep, UnknownProgram
from leaktui.model.frame import Frame, Stack

from .stacks import client_call


class Knowing(UnknownProgram):
    """A program of which it is known which functions hand over, which drop, and which replace the body."""

    def __init__(
        self, handing: tuple[str, ...] = (), replacing: tuple[str, ...] = (), dropping: tuple[str, ...] = ()
    ) -> None:
        self._handing = handing
        self._replacing = replacing
        self._dropping = dropping

    def follow_response(self, stack: Stack, first: int) -> tuple[ResponseStep, ...]:
        steps = []
        for index in range(first, len(stack)):
            function = stack[index].function
            if self.is_stdlib(function):
                continue
            over = function in self._handing
            exits = (Frame(function, "/src/x.go", 99),) if function in self._dropping else ()
            closes = not exits and "leak" not in function
            steps.append(
                ResponseStep(
                    index,
                    HandOver.YES if over else HandOver.NO,
                    exits,
                    closes=closes,
                    replaces=function in self._replacing,
                )
            )
            if not over:
                break
        return tuple(steps)


def test_the_caller_of_do_owns_the_response() -> None:
    owner = owner_of_body(
        client_call("main.loadUser:24", "main.handler:80", "net/http.HandlerFunc.ServeHTTP:1"), Knowing()
    )
    assert owner is not None
    assert (owner.frame.function, owner.frame.line, owner.sure) == ("main.loadUser", 24, True)


def test_thin_wrappers_hand_over_to_their_caller() -> None:
    program = Knowing(handing=("example.com/api.(*Client).get", "example.com/api.(*Client).Fetch"))
    stack = client_call(
        "example.com/api.(*Client).get:9", "example.com/api.(*Client).Fetch:30", "main.sync:88", "main.main:5"
    )
    owner = owner_of_body(stack, program)
    assert owner is not None
    assert (owner.frame.function, owner.frame.line) == ("main.sync", 88)
    assert "hand" in owner.reason


def test_round_trippers_below_the_client_do_not_own() -> None:
    stack = client_call("main.load:3", transports=("main.(*auth).RoundTrip:12", "main.(*retry).RoundTrip:40"))
    owner = owner_of_body(stack, Knowing())
    assert owner is not None
    assert owner.frame.function == "main.load"


def test_a_round_tripper_that_replaces_the_body_owns_what_it_dropped() -> None:
    stack = client_call("main.load:3", transports=("main.(*mask).RoundTrip:12",))
    owner = owner_of_body(stack, Knowing(replacing=("main.(*mask).RoundTrip",)))
    assert owner is not None
    assert (owner.frame.function, owner.frame.line) == ("main.(*mask).RoundTrip", 12)


@pytest.mark.parametrize(
    "wrapper",
    [
        "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp.Get:1",
        "golang.org/x/oauth2.(*Transport).RoundTrip:1",
    ],
)
def test_known_wrappers_never_own(wrapper: str) -> None:
    owner = owner_of_body(client_call(wrapper, "main.load:3"), Knowing())
    assert owner is not None
    assert owner.frame.function == "main.load"


def test_a_server_around_the_client_is_not_client_plumbing() -> None:
    stack = client_call(
        "main.proxy:9",
        "net/http.HandlerFunc.ServeHTTP:2000",
        "net/http.(*http2serverConn).runHandler:2500",
    )
    assert [frame.function for _, frame in user_chain(stack, Knowing())] == ["main.proxy"]


class TestShares:
    """Where nothing is known of the functions: the share of unclosed bodies decides."""

    def stack(self, caller: str) -> list[Frame]:
        return [frame for _, frame in user_chain(client_call("main.get:9", caller), UnknownProgram())]

    def test_other_callers_that_close_point_at_the_caller_that_does_not(self) -> None:
        shares = Shares()
        for _ in range(20):
            shares.add(self.stack("main.leaky:24"), True)
            shares.add(self.stack("main.tidy:88"), False)
        owner = owner_of_body(client_call("main.get:9", "main.leaky:24"), UnknownProgram(), shares)
        assert owner is not None
        assert (owner.frame.function, owner.sure) == ("main.leaky", False)
        assert [frame.function for frame in owner.alternatives] == ["main.get"]

    def test_a_wrapper_that_leaks_whoever_calls_it_is_the_owner(self) -> None:
        shares = Shares()
        for _ in range(20):
            shares.add(self.stack("main.one:24"), True)
            shares.add(self.stack("main.two:88"), True)
            shares.add(self.stack("main.three:99"), True)
        owner = owner_of_body(client_call("main.get:9", "main.one:24"), UnknownProgram(), shares)
        assert owner is not None
        assert (owner.frame.function, owner.sure) == ("main.get", True)

    def test_a_single_chain_is_not_sure(self) -> None:
        shares = Shares()
        shares.add(self.stack("main.only:24"), True)
        owner = owner_of_body(client_call("main.get:9", "main.only:24"), UnknownProgram(), shares)
        assert owner is not None
        assert not owner.sure


def test_a_stack_of_the_library_alone_has_no_owner() -> None:
    assert owner_of_body(client_call("net/http.HandlerFunc.ServeHTTP:1"), Knowing()) is None


def test_a_wrapper_that_drops_the_response_while_its_caller_closes_is_the_owner() -> None:
    program = Knowing(handing=("main.(*api).do",), dropping=("main.(*api).do",))
    owner = owner_of_body(client_call("main.(*api).do:9", "main.list:21"), program)
    assert owner is not None
    assert (owner.frame.function, owner.sure) == ("main.(*api).do", True)
    assert owner.exits[0].line == 99


def test_a_caller_that_leaks_too_is_named_but_not_for_sure() -> None:
    program = Knowing(handing=("main.(*api).do",), dropping=("main.(*api).do",))
    owner = owner_of_body(client_call("main.(*api).do:9", "main.leakList:21"), program)
    assert owner is not None
    assert (owner.frame.function, owner.sure) == ("main.leakList", False)
