"""The search for holders, as text, at each of its stages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.model.holder import Holder, HolderKind, HolderLevel, HolderSearch
from leaktui.tui.facts import Facts
from leaktui.tui.holder_lines import (
    HolderLook,
    find_search,
    holder_lines,
    holder_name,
    holders_lines,
    look_of,
)
from leaktui.tui.links import GoroutineLink, HoldersLink
from tests.tui.documents import targets_of, text_of
from tests.tui.scene import (
    BODY,
    BODY_HOLDERS,
    HELD_BY_FRAME,
    HELD_BY_GLOBAL,
    HELD_BY_MAP,
    HELD_BY_OBJECT,
    MEMORY_CAPABILITIES,
    MEMORY_SNAPSHOT,
    WORKER,
)

DONE = HolderSearch(BODY, 64, done=True)


def test_the_path_goes_from_the_object_to_the_root_nearest_first() -> None:
    lines = holders_lines(HolderLook(BODY, BODY_HOLDERS, offered=True))
    text = text_of(lines)
    at = [
        text.index(part)
        for part in (
            "  global example.com/shop/users.pending  3 steps away",
            "http.bodyEOFSignal  64 B",
            "← http.Response .Body",
            "← users.group .slots[3].elem",
            "← held by global example.com/shop/users.pending  map[string]*http.Response",
            "level 1: 1 holder, level 2: 5 holders, level 3: 1 holder\n",
            "also at level 2\n    goroutine 18 at",
            "… 3 more",
            "46.0 MB read in 0.9 s",
        )
    ]
    assert at == sorted(at)
    assert targets_of(lines) == [HELD_BY_OBJECT, HELD_BY_MAP, WORKER[3]]
    assert text.count(".slots[3].elem") == 1


def test_a_goroutine_that_holds_leads_to_its_source_and_to_itself() -> None:
    search = replace(BODY_HOLDERS, path=(HELD_BY_OBJECT, HELD_BY_FRAME), levels=())
    lines = holders_lines(HolderLook(BODY, search))
    assert "held by goroutine 18 at main.(*thumbnailer).run  thumbs.go:77 .resp" in text_of(lines)
    assert "  goroutine 18 at main.(*thumbnailer).run  thumbs.go:77  2 steps away" in text_of(lines)
    assert targets_of(lines) == [WORKER[3], HELD_BY_OBJECT, WORKER[3], GoroutineLink(18)]


def test_what_a_root_holds_directly_is_said_to_be() -> None:
    search = HolderSearch(BODY, 64, path=(HELD_BY_GLOBAL,), done=True)
    assert "  global example.com/shop/users.pending  directly" in text_of(
        holders_lines(HolderLook(BODY, search))
    )


def test_what_only_waits_for_a_body_is_said_not_to_hold_it() -> None:
    search = HolderSearch(BODY, 64, path=(HELD_BY_FRAME,), done=True)
    words = "it only waits for it to be closed; nothing else holds it"
    assert words not in text_of(holders_lines(HolderLook(BODY, search)))
    assert words in text_of(holders_lines(HolderLook(BODY, replace(search, forsaken=True))))


def test_a_frame_without_source_leads_to_its_goroutine() -> None:
    assert HELD_BY_FRAME.frame is not None
    bare = replace(HELD_BY_FRAME, frame=replace(HELD_BY_FRAME.frame, file=""))
    search = HolderSearch(BODY, 64, levels=(HolderLevel(1, (bare, replace(bare, frame=None))),))
    lines = holders_lines(HolderLook(BODY, search, under_way=True))
    assert targets_of(lines) == [GoroutineLink(18), GoroutineLink(18)]
    assert "goroutine 18 at main.(*thumbnailer).run:77" in text_of(lines)


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (HolderLook(0, offered=True), "not known: no source has seen where it lies"),
        (HolderLook(BODY), "not known: no source here can search"),
        (HolderLook(BODY, offered=True), "look for it in the target's memory (h)"),
        (HolderLook(BODY, offered=True, asked=True), "nothing was found there"),
        (HolderLook(BODY, offered=True, under_way=True), "looking at level 1 … Esc gives it up"),
        (HolderLook(BODY, replace(DONE, done=False), under_way=True), "looking at level 1"),
        (HolderLook(BODY, replace(BODY_HOLDERS, path=(), done=False), under_way=True), "looking at level 4"),
        (HolderLook(BODY, replace(DONE, done=False), offered=True), "given up before a root was met"),
        (HolderLook(BODY, DONE), "not known: it moved while we looked, or the root is one leaktui does not see"),
        (HolderLook(BODY, replace(DONE, unreachable=True)), "nothing holds it"),
        (
            HolderLook(BODY, replace(DONE, unreachable=True, levels=BODY_HOLDERS.levels[:1])),
            "nothing live holds it",
        ),
    ],
)  # fmt: skip
def test_every_stage_of_a_search_has_its_sentence(look: HolderLook, words: str) -> None:
    assert words in text_of(holders_lines(look))


def test_enter_looks_again_where_a_search_can_be_had() -> None:
    unreachable = replace(DONE, unreachable=True)
    assert targets_of(holders_lines(HolderLook(BODY, unreachable, offered=True))) == [HoldersLink(BODY)]
    assert targets_of(holders_lines(HolderLook(BODY, unreachable))) == []


def test_crowded_levels_are_counted_and_cut() -> None:
    level = HolderLevel(1, (HELD_BY_OBJECT,) * 64, omitted=20_000)
    text = text_of(holders_lines(HolderLook(BODY, HolderSearch(BODY, 64, levels=(level,)), under_way=True)))
    assert "level 1: 20.1k holders" in text and "… 20.1k more" in text


def test_what_has_no_name_is_told_by_its_address() -> None:
    runtime = Holder(HolderKind.RUNTIME, 0x10, BODY, name="finalizer")
    nameless = Holder(HolderKind.GLOBAL, 0x9C4A20, BODY)
    thing = Holder(HolderKind.OBJECT, 0x28, BODY, object=0x20, size=16, field="+0x8")
    search = HolderSearch(BODY, 64, levels=(HolderLevel(1, (runtime, nameless, thing)),))
    text = text_of(holders_lines(HolderLook(BODY, search, under_way=True)))
    assert "the runtime: finalizer" in text and "global at 0x9c4a20" in text
    assert "an object of unknown type +0x8  16 B" in text
    assert holder_name(thing) == "object 0x20" and holder_name(HELD_BY_OBJECT) == "http.Response"


def test_a_search_is_found_by_any_address_within_its_object() -> None:
    newer = replace(BODY_HOLDERS, seconds=2.0)
    searches = (BODY_HOLDERS, newer, HolderSearch(1, 0))
    assert find_search(searches, BODY) is newer and find_search(searches, BODY + 63) is newer
    assert find_search(searches, BODY + 64) is None and find_search(searches, 1) is searches[2]


def test_a_look_knows_what_is_offered_asked_and_under_way() -> None:
    facts = Facts(
        replace(MEMORY_SNAPSHOT, holders=(BODY_HOLDERS,)),
        capabilities=MEMORY_CAPABILITIES,
        searching=BODY,
        searched=frozenset({BODY}),
    )
    assert look_of(facts, BODY) == HolderLook(BODY, BODY_HOLDERS, True, True, True)
    assert look_of(facts, 8) == HolderLook(8, None, True)
    assert not look_of(replace(facts, exited="gone"), 8).offered
    assert not look_of(replace(facts, searching=0), 0).under_way


def test_an_object_on_the_way_is_described_with_its_own_holders() -> None:
    text = text_of(holder_lines(HELD_BY_MAP, HolderLook(HELD_BY_MAP.object, offered=True)))
    assert "example.com/shop/users.group" in text and "0xc0004c8000" in text
    assert ".slots[3].elem" in text and "look for it" in text
