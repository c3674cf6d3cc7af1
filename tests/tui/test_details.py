"""The documents of a row, as text."""

from __future__ import annotations

from dataclasses import replace

from leaktui.model.goroutine import Ancestor, Goroutine
from leaktui.tui.details import (
    finding_lines,
    goroutine_lines,
    group_lines,
    site_lines,
    stack_lines,
)
from leaktui.tui.links import GoroutineLink
from tests.tui.documents import targets_of, text_of
from tests.tui.scene import DO, GOROUTINES, GROUPS, NEW_THUMBS, OWNER, SECOND, SITES, SUSPECT, WORKER


def test_a_suspect_leads_first_to_its_line() -> None:
    lines = finding_lines(SUSPECT)
    assert targets_of(lines)[0] == OWNER
    text = text_of(lines)
    assert "main.loadUser  user.go:41" in text and "/srv/shop/src/user.go:41" in text
    assert "• trace: 38 of 38 bodies" in text and "defer resp.Body.Close()" in text


def test_a_suspect_without_a_line_says_so_and_shows_candidates() -> None:
    lines = finding_lines(replace(SUSPECT, location=None, stack=(), candidates=(OWNER,)))
    assert "line not known" in text_of(lines)
    assert "Possible places" in text_of(lines) and targets_of(lines) == [OWNER]


def test_the_creator_of_a_goroutine_is_a_place_to_go() -> None:
    assert NEW_THUMBS in targets_of(finding_lines(SECOND))


def test_stack_marks_the_owner_once_and_inlined_frames() -> None:
    text = text_of(stack_lines((*DO, OWNER), OWNER))
    assert text.count("▶") == 1
    assert "http.(*Client).Get  client.go:480  inlined" in text


def test_deep_stacks_are_shown_by_both_ends() -> None:
    deep = tuple(replace(OWNER, line=number) for number in range(1, 10_001))
    lines = stack_lines(deep)
    assert len(lines) == 201
    assert "9800 more frames" in text_of(lines)
    assert "user.go:10000" in text_of(lines)


def test_a_group_lists_its_goroutines_longest_waiting_first() -> None:
    lines = group_lines(GROUPS[3], [*GOROUTINES[:1], *GOROUTINES[-4:]])
    goroutines = [target for target in targets_of(lines) if isinstance(target, Goroutine)]
    assert [goroutine.wait_minutes for goroutine in goroutines] == [133, 133, 133, 133, 1]
    assert "pool=thumbs" in text_of(lines)


def test_a_group_without_a_dump_says_how_to_get_one() -> None:
    assert "r takes one" in text_of(group_lines(GROUPS[2], []))
    assert "18, 19, 20, 21" in text_of(group_lines(GROUPS[3], []))


def test_a_goroutine_with_everything() -> None:
    goroutine = Goroutine(
        9, "chan receive", WORKER, 3, NEW_THUMBS, 1, (("k", "v"),), True, True, -1, (Ancestor(1, DO),)
    )
    text = text_of(goroutine_lines(goroutine, WORKER[3]))
    for part in (
        "locked to its thread",
        "unreachable",
        "goroutine 1",
        "k=v",
        "some frames left out",
        "main.loadUser",
    ):
        assert part in text


def test_the_parent_of_a_goroutine_is_a_place_to_go() -> None:
    assert GoroutineLink(1) in targets_of(goroutine_lines(GOROUTINES[-1], WORKER[3]))


def test_a_group_says_how_many_nothing_can_wake_and_who_sees_it() -> None:
    row = replace(GROUPS[3], unreachable=3, sources=("memory", "pprof"))
    text = text_of(group_lines(row, []))
    assert "3 of them wait for ever: nothing live can wake them" in text and "memory, pprof" in text
    assert "all of them wait for ever" in text_of(group_lines(replace(row, unreachable=8), []))
    assert "wait for ever" not in text_of(group_lines(GROUPS[3], []))


def test_an_allocation_site() -> None:
    text = text_of(site_lines(SITES[2]))
    assert "116 kB in 14 objects" in text and "−32.0 kB, -4 objects" in text and "about 8.3 kB" in text
