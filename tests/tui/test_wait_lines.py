"""What a goroutine waits on, its deferred calls and panics, as text."""

from __future__ import annotations

from dataclasses import replace

from leaktui.model.frame import Frame
from leaktui.model.wait import Channel, DeferredCall, GoroutineDetail, Panic, Wait
from leaktui.tui.links import GoroutineLink
from leaktui.tui.wait_lines import detail_lines, wait_lines
from tests.tui.documents import targets_of, text_of
from tests.tui.scene import DETAIL, OWNER, WORKER

CHANNEL = DETAIL.wait.channels[0]


def test_a_channel_with_those_who_wait_beside_it() -> None:
    lines = wait_lines(DETAIL.wait, 18)
    text = text_of(lines)
    assert "receive from chan main.job  0 of 16 queued  0xc00007a0c0" in text
    assert targets_of(lines) == [GoroutineLink(goid) for goid in (19, 20, 21)]
    assert "… 4 more wait on it" in text


def test_a_channel_nobody_else_is_at() -> None:
    alone = Channel(0x10, True, capacity=0, closed=True, senders=(18,), waiting=1)
    text = text_of(wait_lines(Wait((alone,)), 18))
    assert "send to a channel  unbuffered, closed  0x10" in text
    assert "no other goroutine waits on it" in text


def test_the_other_side_of_a_channel_says_what_it_does() -> None:
    text = text_of(wait_lines(Wait((replace(CHANNEL, senders=(7,), receivers=(18,), waiting=2),)), 18))
    assert "goroutine 7  sends" in text and "more wait" not in text


def test_a_select_lists_its_channels_and_is_cut() -> None:
    text = text_of(wait_lines(Wait((CHANNEL,) * 30), 18))
    assert "Waits on one of 30 channels" in text and "… 10 more channels" in text


def test_a_semaphore_has_its_address() -> None:
    assert "a Mutex, RWMutex, WaitGroup or Cond at 0x40" in text_of(wait_lines(Wait(semaphore=0x40), 1))


def test_deferred_calls_lead_to_their_defer_statement() -> None:
    lines = detail_lines(replace(DETAIL, wait=Wait(), panics=()))
    assert "sync.(*WaitGroup).Done  deferred at thumbs.go:72  open-coded" in text_of(lines)
    (place,) = targets_of(lines)
    assert isinstance(place, Frame) and (place.file, place.line) == ("/srv/shop/src/thumbs.go", 72)


def test_what_a_loop_defers_is_told_once() -> None:
    call, other = DETAIL.deferred[0], DeferredCall(OWNER)
    inlined = replace(call, function=replace(call.function, pc=0x77))
    lines = detail_lines(GoroutineDetail(1, deferred=(call, other, *[inlined, other] * 160)))
    text = text_of(lines)
    assert "Deferred calls: 322, the next one first" in text
    assert "sync.(*WaitGroup).Done  161 times  deferred at thumbs.go:72" in text
    assert len(lines) == 4


def test_a_crowd_of_defer_statements_is_cut() -> None:
    calls = tuple(DeferredCall(replace(OWNER, line=line)) for line in range(60))
    assert "… 10 more defer statements" in text_of(detail_lines(GoroutineDetail(1, deferred=calls)))


def test_a_deferred_call_of_unknown_place_leads_to_the_function() -> None:
    lines = detail_lines(GoroutineDetail(1, deferred=(DeferredCall(OWNER), DeferredCall(WORKER[3]))))
    assert targets_of(lines) == [replace(frame, pc=0) for frame in (OWNER, WORKER[3])]
    assert "main.loadUser  user.go:41\n" in text_of(lines) and "open-coded" not in text_of(lines)


def test_panics_in_flight() -> None:
    text = text_of(detail_lines(GoroutineDetail(1, panics=(Panic("boom"), *DETAIL.panics))))
    assert "panic: boom\n" in text
    assert "panic: thumbnail too large  *errors.errorString  recovered" in text


def test_nothing_is_said_of_what_there_is_not() -> None:
    assert detail_lines(None) == [] and detail_lines(GoroutineDetail(1)) == []
