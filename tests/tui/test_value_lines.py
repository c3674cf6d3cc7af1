"""Values as lines: folded and unfolded, safe to draw, and never empty where something was only not loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.engines.fake_delve import evaluation, inspection
from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.finding import Confidence
from leaktui.model.frame import Frame
from leaktui.model.inspection import Evaluation, InspectedFrame, Inspection, Variable
from leaktui.model.wait import Panic
from leaktui.tui.body_expressions import body_suggestions
from leaktui.tui.links import ExpressionLink, FoldLink
from leaktui.tui.value_lines import (
    evaluation_key,
    evaluation_lines,
    first_open,
    frame_key,
    inspection_lines,
    is_unloaded,
    short_value,
)
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import line_text
from tests.tui.documents import targets_of, text_of

SHOP = inspection(19)


def line_with(lines: list[DocLine], part: str) -> DocLine:
    return next(line for line in lines if part in line_text(line.spans))


def test_the_programs_own_frame_is_open_and_the_others_are_not() -> None:
    opened = first_open(SHOP)
    assert opened == {frame_key(1)}
    text = text_of(inspection_lines(SHOP, opened))
    assert "▸  0 http.(*persistConn).roundTrip" in text and "▾  1 pricing.(*Client).Lookup" in text
    assert "resc chan" not in text, "a folded frame makes no lines of its values"
    assert 'arg sku string = "A-1007"' in text and "err error = nil" in text
    assert "prices map[string]float64 = 812 entries" in text and "buf []uint8  optimised away" in text
    assert "http.(*bodyEOFSignal).Close  deferred at client.go:61" in text
    assert "the budget of the stop was spent" not in text


def test_runtime_frames_are_not_opened_first() -> None:
    frames = tuple(
        InspectedFrame(Frame(function, "/go/x.go", 1), variables=(Variable("x", "int", "1"),))
        for function in ("runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).readLoop")
    )
    assert first_open(Inspection(6, 0.0, frames=frames)) == {frame_key(2)}
    assert first_open(Inspection(6, 0.0, frames=frames[:1])) == {frame_key(0)}
    assert first_open(Inspection(6, 0.0)) == set()


def test_a_pointer_opens_to_what_it_points_to_and_further_down() -> None:
    resp = (*frame_key(1), "resp")
    lines = inspection_lines(SHOP, {frame_key(1), resp})
    assert line_with(lines, "▾ resp").target == FoldLink(resp, 1)
    assert "StatusCode int = 404" in text_of(lines) and "▸ Body io.ReadCloser" in text_of(lines)
    deeper = text_of(inspection_lines(SHOP, {frame_key(1), resp, (*resp, "Body")}))
    assert "data *http.bodyEOFSignal = 0xc000400000" in deeper


def test_what_was_not_loaded_leads_to_the_expression_that_loads_it() -> None:
    resp = (*frame_key(1), "resp")
    lines = inspection_lines(SHOP, {frame_key(1), resp, (*resp, "Body"), (*frame_key(1), "c")})
    expressions = [target.expression for target in targets_of(lines) if isinstance(target, ExpressionLink)]
    assert expressions == ["c.http", "resp.Header", "resp.Body.(data)", "resp.Request"]
    assert all(
        (target.goid, target.frame_index) == (19, 1)
        for target in targets_of(lines)
        if isinstance(target, ExpressionLink)
    )


def test_elements_beyond_those_loaded_are_counted_and_can_be_had() -> None:
    numbers = Variable(
        "numbers", "[]int", children=tuple(Variable(f"[{n}]", "int", str(n)) for n in range(4)), length=500
    )
    frame = InspectedFrame(Frame("main.f", "/src/f.go", 3), variables=(numbers,))
    lines = inspection_lines(Inspection(1, 0.0, frames=(frame,)), {frame_key(0), (*frame_key(0), "numbers")})
    more = line_with(lines, "… 496 more")
    assert more.target == ExpressionLink("numbers[4:68]", 1, 0)
    prices = inspection_lines(SHOP, {frame_key(1), (*frame_key(1), "prices")})
    assert line_with(prices, "… 804 more").target is None, "a map has no slices"
    assert '["A-1003"] float64 = 12.5' in text_of(prices)


def test_what_is_queued_in_a_channel_is_one_enter_away() -> None:
    lines = inspection_lines(SHOP, {frame_key(1), (*frame_key(1), "queue")})
    assert line_with(lines, "what is queued").target == ExpressionLink("*queue.buf", 19, 1)
    assert "qcount uint = 2" in text_of(lines) and "more" not in text_of(lines)


@pytest.mark.parametrize(
    ("variable", "shown"),
    [
        (Variable("s", "string", "", length=0), '""'),
        (Variable("s", "string", "abc", length=9), '"abc"…'),
        (Variable("s", "main.Name", "x", length=1), "x"),
        (Variable("p", "*main.T", "nil"), "nil"),
        (Variable("m", "map[string]int", length=0), "empty"),
        (Variable("m", "map[string]int", length=7), "7 of them"),
        (Variable("x", "int", "3"), "3"),
        (Variable("x", "main.T"), "{…}"),
        (Variable("x", "int", unreadable="no place"), "no place"),
        (
            Variable("x", "main.T", children=(Variable("A", "int", "1"), Variable("B", "int", "2"))),
            "{A: 1, B: 2}",
        ),
    ],
)
def test_a_value_on_one_line(variable: Variable, shown: str) -> None:
    assert short_value(variable)[0] == shown


def test_what_is_nil_or_empty_is_loaded() -> None:
    assert not is_unloaded(Variable("p", "*main.T", "nil")) and not is_unloaded(
        Variable("m", "[]int", length=0)
    )
    assert is_unloaded(Variable("p", "*main.T", "0xc000")) and is_unloaded(Variable("m", "[]int", length=3))


def test_panics_and_goroutines_that_ended() -> None:
    lines = inspection_lines(replace(SHOP, panics=(Panic("boom", "string"),)), set())
    assert "panic: boom  string" in text_of(lines)
    gone = Inspection(19, 0.0, gone=True)
    assert "had ended by then" in text_of(inspection_lines(gone, set()))
    assert "could not be read in the time" in text_of(inspection_lines(gone, set(), seen_since=True))


def test_the_newest_answer_stands_first_and_each_expression_once() -> None:
    asked = [
        evaluation("resp.StatusCode", 19, 1),
        evaluation("nothing.here", 19, 1),
        evaluation("resp.StatusCode", 20, 1),
        evaluation("*queue.buf", 19, 1),
        evaluation("resp.StatusCode", 19, 1),
    ]
    lines = evaluation_lines(asked, 19, {evaluation_key(asked[3])})
    text = text_of(lines)
    assert text.index("resp.StatusCode") < text.index("*queue.buf") < text.index("nothing.here")
    assert text.count("resp.StatusCode") == 1 and "= int = 404" in text
    assert "could not find symbol value for nothing" in text and "in frame 1, 2.1 ms" in text
    assert '[0] pricing.Quote = {SKU: "A-1007", Cents: 950}' in text and "… 6 more" in text
    assert evaluation_lines(asked, 7, set()) == []


def test_hostile_values_cannot_move_the_cursor() -> None:
    evil = Variable("n\x1b[2J", "main.\x07T", "v\x1b]0;x\x07", (Variable("\u202e", "int", "1\r"),))
    frame = InspectedFrame(Frame("main.f\x1b", "/x\x1b.go", 1), (evil,), unreadable="\x9b")
    everything = {frame_key(0), (*frame_key(0), evil.name)}
    lines = inspection_lines(Inspection(1, 0.0, "w\x1b", (frame,)), everything)
    lines += evaluation_lines([Evaluation("x\x1b", 1, 0, 0.0, error="e\x1b")], 1, set())
    assert text_of(lines).replace("\n", "").isprintable()


BODY = BodyHolder(
    6, "HTTP/1", BodyState.UNREAD, Confidence.LIKELY, address=0x1000, connection=0x2000, request=0x3000
)


def test_what_is_worth_asking_of_a_body_goes_through_what_is_known_to_live() -> None:
    found = {item.label: item.link for item in body_suggestions(BODY, read_loop_frame=2)}
    assert found["host asked"].expression == '(*(*"net/http.Request")(0x3000)).URL.Host'
    assert found["closed?"].expression == '(*(*"net/http.bodyEOFSignal")(0x1000)).closed'
    assert found["status, maybe stale"] == ExpressionLink("resp.StatusCode", 6, 2)
    orphan = {
        item.label for item in body_suggestions(replace(BODY, orphaned=True, address=0), read_loop_frame=2)
    }
    assert "host asked" in orphan and not orphan & {"closed?", "status, maybe stale", "response, maybe stale"}
    assert not any("stale" in item.label for item in body_suggestions(BODY)), "its frame is not known yet"
    stream = body_suggestions(replace(BODY, stream=5))
    assert {item.label for item in stream} == {"method", "host asked", "path asked", "whole request"}
