"""Text of the target is drawn as it is: no control bytes, no markup, no broken columns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from leaktui.model.finding import Evidence
from leaktui.model.frame import Frame
from leaktui.model.goroutine import GoroutineGroup
from tests.tui.driving import make_app, screen_text, wait_for_facts
from tests.tui.fakes import FakeInvestigation
from tests.tui.scene import BODIES, GROUPS, LEAKING, SITES, SUSPECT, TARGET

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
            text = screen_text(app)
            seen += text
            assert not any(ord(character) < 32 and character != "\n" for character in text)
            assert not any(0xD800 <= ord(character) < 0xE000 for character in text)
            assert "\u202e" not in text
            assert all(cell_len(line) <= size[0] for line in text.split("\n"))
        assert app.is_running
    assert "[red]main.f[/red]" in seen and "main.\\x1b[2J" in seen and "日本語" in seen
