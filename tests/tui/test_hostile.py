"""Text of the target is drawn as it is: no control bytes, no markup, no broken columns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from leaktui.model.assessment import LedgerRow
from leaktui.model.finding import Evidence
from leaktui.model.frame import Frame
from leaktui.model.goroutine import GoroutineGroup
from leaktui.model.heap_census import TypeCount
from leaktui.model.holder import Holder, HolderKind, HolderLevel, HolderSearch
from leaktui.model.ledger import LedgerKind, LedgerPlace, Opened
from leaktui.model.wait import Channel, DeferredCall, GoroutineDetail, Panic, Wait
from leaktui.tui.app import LeaktuiApp
from tests.tui.driving import make_app, screen_text, wait_for_facts
from tests.tui.fakes import FakeInvestigation, probing, read_from_memory
from tests.tui.scene import (
    ALLOCATION_LEDGER,
    BODIES,
    BODY,
    BODY_LEDGER,
    CENSUS,
    FD_LEDGER,
    GROUPS,
    LEAKING,
    SITES,
    SUSPECT,
    TARGET,
)

HOSTILE = [
    "[red]main.f[/red]",
    "main.\x1b[2J\x1b]0;owned\x07f",
    "main.\u202egnp.exe",
    "main.日本語の関数名.ｆｕｌｌｗｉｄｔｈ",
    "main." + "x" * 10_000,
    "main.[@click=app.exit]f[/]",
    "",
    "main.\ud800broken",
    "e\u0301" * 300,
]


FRAMES = tuple(Frame(name, f"/src/{name}/{name}.go", number) for number, name in enumerate(HOSTILE))


def hostile_scene() -> FakeInvestigation:
    """Every name wherever the target decides a text."""
    investigation = FakeInvestigation()
    investigation.assessment = replace(
        LEAKING,
        suspects=tuple(
            replace(
                SUSPECT,
                function=frame.function,
                location=frame,
                stack=FRAMES,
                advice=" ".join(HOSTILE),
                evidence=tuple(Evidence(name, name) for name in HOSTILE),
                candidates=FRAMES,
                created_by=frame,
            )
            for frame in FRAMES
        ),
        groups=tuple(
            replace(
                GROUPS[0],
                owner=frame,
                group=GoroutineGroup(9, (frame, *FRAMES), ((name, name),), name, frame),
            )
            for name, frame in zip(HOSTILE, FRAMES, strict=True)
        ),
        sites=tuple(
            replace(SITES[0], owner=frame, site=replace(SITES[0].site, stack=(frame, *FRAMES)))
            for frame in FRAMES
        ),
        bodies=tuple(
            replace(BODIES[0], owner=frame, url=f"http://{name}/?{name}", peer=name, method=name, goid=number)
            for number, (name, frame) in enumerate(zip(HOSTILE, FRAMES, strict=True))
        ),
        notes=tuple(HOSTILE),
        missing=tuple(HOSTILE),
    )
    name = HOSTILE[0] + HOSTILE[1]
    target = replace(TARGET, exe=f"/bin/{name}", module=name, go_version=name)
    sources = tuple(
        replace(source, detail=name, remedy=name) for source in investigation.session.snapshot.sources
    )
    investigation.session.snapshot = replace(investigation.session.snapshot, target=target, sources=sources)
    return investigation


def hostile_memory() -> FakeInvestigation:
    """Every name wherever the target's memory decides a text."""
    investigation = read_from_memory()
    holders = tuple(
        Holder(kind, 1, BODY, 0x20, 8, name, name, name, 18, frame)
        for name, frame in zip(HOSTILE, FRAMES, strict=True)
        for kind in HolderKind
    )
    search = HolderSearch(BODY, 64, HOSTILE[0], (HolderLevel(1, holders),), holders, done=True)
    census = replace(CENSUS, types=tuple(TypeCount(name, 1, 1 << 20) for name in HOSTILE))
    wait = Wait(tuple(Channel(1, True, name) for name in HOSTILE))
    calls = tuple(DeferredCall(frame, frame) for frame in FRAMES)
    panics = tuple(Panic(name, name) for name in HOSTILE)
    details = tuple(GoroutineDetail(goid, wait, calls, panics) for goid in (18, 19, 20, 21))
    investigation.move(holders=(search,), heap_census=census, details=details)
    return investigation


async def test_every_text_out_of_memory_is_drawn_literally() -> None:
    app = make_app(hostile_memory())
    seen = ""
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_facts(pilot)
        opened = [
            "4",
            "enter",
            "pagedown",
            "pagedown",
            "pagedown",
            "pagedown",
            "pagedown",
            "home",
            "down",
            "down",
        ]
        types = ["2", "g", "enter", "2", "3", "g", "g", "g", "g"]
        for key in [*opened, "down", "enter", "escape", *types, "enter", "pagedown", "pagedown", "pagedown"]:
            await pilot.press(key)
            text = screen_text(app)
            seen += text
            assert not any(ord(character) < 32 and character != "\n" for character in text)
            assert not any(0xD800 <= ord(character) < 0xE000 for character in text)
            assert "\u202e" not in text
            assert all(cell_len(line) <= 80 for line in text.split("\n"))
    assert "held by global [red]main.f[/red]" in seen and "panic: main.\\x1b[2J" in seen
    assert "chan main.日本語" in seen


def hostile_ledger() -> FakeInvestigation:
    """Every name wherever what is probed decides a text."""
    investigation = probing(*LedgerKind)
    for ledger in (BODY_LEDGER, FD_LEDGER, ALLOCATION_LEDGER):
        places = tuple(LedgerPlace((frame, *FRAMES), 9, 1, ended=1, collected=1) for frame in FRAMES)
        opened = tuple(
            Opened(0x1000 + number, 990.0, number, 7, name, f"http://{name}/?{name}", 200, name, name=name)
            for number, name in enumerate(HOSTILE)
        )
        ledger = replace(
            ledger, places=places, open=opened, unseen=tuple(HOSTILE), ended=HOSTILE[0] + HOSTILE[1]
        )
        investigation.keep(ledger)
    investigation.assessment = replace(
        investigation.assessment,
        ledger=tuple(
            LedgerRow(kind, frame, True, 9, 1, 1, 1, 6, 5, 1, 0.1, 9.0, 1 << 20, (number,))
            for kind in LedgerKind
            for number, frame in enumerate(FRAMES)
        ),
    )
    return investigation


def harmless_text(app: LeaktuiApp, width: int) -> str:
    """What is on the screen, with nothing in it that could do anything to a terminal."""
    text = screen_text(app)
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert not any(0xD800 <= ord(character) < 0xE000 for character in text)
    assert "\u202e" not in text
    assert all(cell_len(line) <= width for line in text.split("\n"))
    return text


@pytest.mark.parametrize("size", [(80, 24), (160, 40)])
async def test_every_text_of_a_ledger_is_drawn_literally(size: tuple[int, int]) -> None:
    app = make_app(hostile_ledger())
    seen = ""
    async with app.run_test(size=size) as pilot:
        await wait_for_facts(pilot)
        down = ["down"] * 3
        one = ["enter", "enter", "pagedown", "escape", "g", "enter", "pagedown", "escape", "escape"]
        for key in ["4", "g", "g", "g", *one, *down, *one, "m", *one, *down, *one, "m", *one, *down, *one]:
            await pilot.press(key)
            seen += harmless_text(app, size[0])
        assert app.is_running
    assert "[red]main.f[/red]" in seen and "日本語" in seen and "\\x1b[2J" in seen


@pytest.mark.parametrize("size", [(80, 24), (160, 40)])
async def test_every_pane_and_level_draws_it_literally(size: tuple[int, int]) -> None:
    app = make_app(hostile_scene())
    seen = ""
    async with app.run_test(size=size) as pilot:
        await wait_for_facts(pilot)
        steps = [
            "1",
            "enter",
            "pagedown",
            "pagedown",
            "enter",
            "2",
            "enter",
            "pagedown",
            "2",
            "c",
            "3",
            "enter",
            "pagedown",
            "4",
            "enter",
        ]
        for key in steps:
            await pilot.press(key)
            seen += harmless_text(app, size[0])
        assert app.is_running
    assert "[red]main.f[/red]" in seen and "main.\\x1b[2J" in seen and "日本語" in seen
