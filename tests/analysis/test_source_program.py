"""Who hands over, as the source at hand declares it."""

from __future__ import annotations

from leaktui.analysis.attribution import owner_of_body
from leaktui.analysis.program import HandOver
from leaktui.analysis.source_program import SourceProgram

from .stacks import client_call

SOURCE = """package main

import "net/http"

func get(url string) (*http.Response, error) {
	return http.Get(url)
}

func load(url string) (int, error) {
	resp, err := get(url)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}
"""


def test_the_caller_of_a_function_that_returns_a_response_owns_it() -> None:
    program = SourceProgram({"/src/main.go": SOURCE}.get)
    owner = owner_of_body(client_call("main.get:6", "main.load:10", "main.main:1"), program)
    assert owner is not None
    assert (owner.frame.function, owner.frame.line, owner.sure) == ("main.load", 10, True)


def test_source_that_is_not_there_or_does_not_fit_leaves_it_unknown() -> None:
    stack = client_call("main.other:6", "main.load:10")
    for program in (SourceProgram({"/src/main.go": SOURCE}.get), SourceProgram(lambda path: None)):
        first = next(index for index, frame in enumerate(stack) if frame.function == "main.other")
        assert [step.hands_over for step in program.follow_response(stack, first)] == [HandOver.UNKNOWN]


MASKING = """package main

func (m *mask) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := m.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(strings.NewReader("masked"))
	return resp, nil
}

func load() int {
	resp, _ := client.Get("x")
	return resp.StatusCode
}
"""


def test_a_round_tripper_that_puts_another_body_in_is_seen_in_its_source() -> None:
    stack = client_call("main.load:13", transports=("main.(*mask).RoundTrip:4",))
    owner = owner_of_body(stack, SourceProgram({"/src/main.go": MASKING}.get))
    assert owner is not None
    assert owner.frame.function == "main.(*mask).RoundTrip"
    wrapping = MASKING.replace('strings.NewReader("masked")', "io.LimitReader(resp.Body, 9)")
    owner = owner_of_body(stack, SourceProgram({"/src/main.go": wrapping}.get))
    assert owner is not None
    assert owner.frame.function == "main.load"


def test_a_round_tripper_nobody_can_read_leaves_doubt() -> None:
    stack = client_call("main.load:13", transports=("main.(*mask).RoundTrip:4",))
    owner = owner_of_body(stack, SourceProgram(lambda path: None))
    assert owner is not None
    assert not owner.sure
    assert [frame.function for frame in owner.alternatives] == ["main.(*mask).RoundTrip"]
