"""What the keys do, driven through the real application."""

from __future__ import annotations

import gzip
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from leaktui.engines.protocol import Want
from leaktui.errors import TargetGone
from leaktui.model.finding import Diagnosis
from leaktui.session.events import ProgressMade, TargetExited
from leaktui.session.history import Metric
from leaktui.sources import SourceRoot, Sources
from leaktui.tui.app import LeaktuiApp
from leaktui.tui.screens.consent import ConsentScreen
from leaktui.tui.screens.help import HelpScreen
from leaktui.tui.screens.picker import PickerScreen
from leaktui.tui.screens.watch import WatchScreen
from leaktui.tui.source import SessionLike
from leaktui.wire.profile import decode_profile
from tests.tui.driving import make_app, make_picker, screen_text, wait_for, wait_for_facts, watch_screen
from tests.tui.fakes import FakeInvestigation, FakeScan, looking
from tests.tui.scene import LEAKING, PROCESSES, SECOND, SUSPECT

SMALL = (80, 24)


def shown_functions(app: Any) -> list[str]:
    table = watch_screen(app).table
    assert table is not None
    return [row.group.stack[-1].function for row in table.rows]


async def test_enter_goes_down_to_the_source_and_escape_back_up(sources: Path) -> None:
    app = make_app(sources=Sources([SourceRoot("/srv/shop/src", str(sources))]))
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("enter")
        assert "Suspects › main.loadUser" in screen_text(app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "▶" in screen_text(app))
        assert "Suspects › main.loadUser › user.go:41" in screen_text(app)
        marked = next(line for line in screen_text(app).split("\n") if "▶" in line)
        assert "41" in marked and "u.client.Get" in marked
        await pilot.press("escape", "escape")
        assert watch_screen(app).pane.depth == 1
        assert "2 suspects" in screen_text(app)


async def test_filter_is_live_and_escape_ends_it() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "slash", *"thumb")
        assert shown_functions(app) == ["main.(*thumbnailer).run"]
        await pilot.press("enter")
        assert shown_functions(app) == ["main.(*thumbnailer).run"]
        assert "/thumb" in screen_text(app)
        await pilot.press("escape")
        assert len(shown_functions(app)) == 5


async def test_filter_words_reach_callers_and_labels() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "slash", *"POOL thumbs")
        assert shown_functions(app) == ["main.(*thumbnailer).run"]


async def test_letters_go_into_the_filter_and_not_to_the_keys() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "slash", *"q1p")
        assert app.is_running
        assert app.screen.query_one(Input).value == "q1p"
        assert not watch_screen(app).paused


async def test_sort_cycles_and_reverses() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3")
        assert shown_functions(app)[0].startswith("net/http.(*persistConn)")
        await pilot.press("S")
        assert shown_functions(app)[0] == "main.main"
        assert "count ▴" in screen_text(app)
        await pilot.press("s")
        assert "sorted by Δ ▾" in screen_text(app)


async def test_cursor_stays_on_its_row_while_rows_move() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("down")
        table = watch_screen(app).table
        assert table is not None and table.cursor_row == SECOND
        investigation.assessment = type(LEAKING)(
            **{name: getattr(LEAKING, name) for name in LEAKING.__dataclass_fields__}
            | {"suspects": (SECOND, SUSPECT)}
        )
        watch_screen(app).redraw()
        await pilot.pause()
        assert table.rows[0] == SECOND
        assert table.cursor_row == SECOND


async def test_group_changes_the_grouping() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "g")
        assert "by owner" in screen_text(app)
        await pilot.press("g")
        assert "by what they wait for" in screen_text(app)
        await pilot.press("g", "g")
        await wait_for(pilot, lambda: "one by one" in screen_text(app))
        assert "64 goroutines" in screen_text(app)
        await pilot.press("enter")
        assert "Goroutines › goroutine " in screen_text(app)


async def test_a_group_of_several_stacks_opens_its_stacks() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "g", "g", "enter")
        assert "Goroutines › select" in screen_text(app)
        table = watch_screen(app).table
        assert table is not None and len(table.rows) == 3
        await pilot.press("enter", "escape", "escape")
        assert watch_screen(app).pane.depth == 1


async def test_heap_measures() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "m", "m")
        assert "allocated bytes" in screen_text(app)
        table = watch_screen(app).table
        assert table is not None
        assert [row.amount for row in table.rows] == sorted((row.amount for row in table.rows), reverse=True)
        assert table.rows[0].name == "main.decodeItems"


async def test_call_tree_opens_closes_and_turns() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "c")
        await wait_for(pilot, lambda: watch_screen(app).pane.depth == 2)
        table = watch_screen(app).table
        assert table is not None
        assert [node.path[-1] for node in table.rows[:3]] == [
            "main.main",
            "main.(*catalog).load",
            "main.decodeItems",
        ]
        await pilot.press("left")
        assert table.rows[1].path != ("main.main", "main.(*catalog).load")
        await pilot.press("g")
        assert table.rows[0].path == ("main.decodeItems",)


async def test_baseline_is_set_once_and_shown() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("b")
        assert investigation.baselines == 1
        assert "Δ for 0.0 s" in screen_text(app)


async def test_pause_and_resume() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("p")
        assert "‖ paused" in screen_text(app) and "p resume" in screen_text(app)
        await pilot.press("p")
        assert investigation.session.pauses == [True, False]
        assert "watching 84 s" in screen_text(app)


async def test_refresh_orders_a_light_look_without_asking() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("r")
        ((wants, allowed),) = investigation.session.orders
        assert {Want.GOROUTINES, Want.HEAP} <= wants and not allowed


def crowded() -> FakeInvestigation:
    """Fifty thousand goroutines: a full dump of them stops the target."""
    investigation = FakeInvestigation()
    group = type(investigation.session.snapshot.groups[0])(50_000, SECOND.stack)  # type: ignore[index]
    investigation.move(groups=(group,))
    return investigation


async def test_a_dump_that_pauses_is_asked_for_once_and_only_that_order_may_pause() -> None:
    investigation = crowded()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("r")
        assert isinstance(app.screen, ConsentScreen)
        assert "about 1.0 s" in screen_text(app)
        assert [Want.GOROUTINES in wants for wants, _ in investigation.session.orders] == [False]
        await pilot.press("y")
        assert investigation.session.orders[-1] == (frozenset({Want.GOROUTINES}), True)
        assert not investigation.session.allow_pauses
        await pilot.press("r")
        assert isinstance(app.screen, WatchScreen)
        assert investigation.session.orders[-1][1]


async def test_no_means_no() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        for answer in ("n", "escape", "enter"):
            await pilot.press("G")
            assert isinstance(app.screen, ConsentScreen)
            await pilot.press(answer)
        assert investigation.session.orders == []


async def test_read_only_does_not_even_ask() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation, read_only=True)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("G")
        assert isinstance(app.screen, WatchScreen)
        assert investigation.session.orders == []
        assert "--read-only forbids" in screen_text(app)


async def test_trace_is_taken_shown_and_given_up() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("t")
        assert investigation.traces == [5.0]
        investigation.listener(ProgressMade("pprof", "execution trace: 64 kB", 0.2))
        await wait_for(pilot, lambda: "execution trace: 64 kB" in screen_text(app))
        await pilot.press("escape")
        assert investigation.session.cancelled == 1
        investigation.listener(ProgressMade("", "", 1.0))
        await wait_for(pilot, lambda: "execution trace" not in screen_text(app).split("\n")[0])


async def test_exit_of_the_target_keeps_everything_browsable() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        investigation.session.exited = "process 4242 exited"
        investigation.listener(TargetExited("process 4242 exited"))
        await wait_for(pilot, lambda: "process 4242 exited; what was seen stays" in screen_text(app))
        await pilot.press("3", "enter")
        assert "Goroutines › " in screen_text(app)
        await pilot.press("t", "r")
        assert investigation.traces == [] and investigation.session.orders == []


async def test_first_suspect_appears_by_itself_with_the_focus_on_it() -> None:
    investigation = looking()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        assert "LOOKING" in screen_text(app)
        investigation.assessment = LEAKING
        watch_screen(app).redraw()
        await wait_for(pilot, lambda: "LEAK  response body never closed" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "Suspects › main.loadUser" in screen_text(app))


async def test_export_of_a_table_is_private_and_masks_queries(tmp_path: Path) -> None:
    app = make_app(directory=tmp_path)
    async with app.run_test(size=(200, 50)) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("4", "e")
    profile, path = sorted(tmp_path.iterdir(), key=lambda path: path.suffix)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (path, profile)} == {0o600}
    assert path.name.startswith("leaktui-4242-bodies-") and path.suffix == ".tsv"
    assert profile.name == path.name.replace(".tsv", ".pb.gz")
    assert sum(sample.values[0] for sample in decode_profile(profile.read_bytes()).samples) == 41
    assert b"secret" not in gzip.decompress(profile.read_bytes())
    header, first, *others = path.read_text().splitlines()
    assert header.split("\t")[:3] == ["state", "method", "URL"]
    assert first.split("\t")[:3] == ["open", "GET", "http://users.internal:8080/v1/users/1000?token=…"]
    assert len(others) == 40
    assert "secret" not in path.read_text()


async def test_export_of_suspects_is_the_report(tmp_path: Path) -> None:
    app = make_app(directory=tmp_path, write_report=lambda diagnosis: f"# {diagnosis.suspects[0].function}\n")
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("e")
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".md" and path.read_text() == "# main.loadUser\n"


async def test_export_of_suspects_has_the_page_beside_the_ticket(tmp_path: Path) -> None:
    def write_page(diagnosis: Diagnosis, session: SessionLike) -> str:
        return f"<p>{len(session.history.series(Metric.RSS))} points</p>"

    app = make_app(directory=tmp_path, write_report=lambda diagnosis: "# report\n", write_page=write_page)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("e")
        await wait_for(pilot, lambda: "written to" in screen_text(app))
    page, ticket = sorted(tmp_path.iterdir(), key=lambda path: path.suffix)
    assert page.stem == ticket.stem and (page.suffix, ticket.suffix) == (".html", ".md")
    assert re.fullmatch(r"<p>[1-9]\d* points</p>", page.read_text())


async def test_export_of_goroutines_counts_what_the_pane_counts(tmp_path: Path) -> None:
    app = make_app(directory=tmp_path)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("3", "e")
        facts = watch_screen(app).facts
    profile, _ = sorted(tmp_path.iterdir(), key=lambda path: path.suffix)
    decoded = decode_profile(profile.read_bytes())
    assert facts is not None
    assert [item.name for item in decoded.value_types] == ["goroutines"]
    assert sum(sample.values[0] for sample in decoded.samples) == facts.snapshot.goroutine_count


async def test_export_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    app = make_app(directory=tmp_path / "missing")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("2", "e")
        await wait_for(pilot, lambda: "not written" in screen_text(app))


async def test_help_and_palette_come_from_the_table_of_actions() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert "collect garbage" in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, WatchScreen)
        await pilot.press("ctrl+p", *"goroutines")
        await wait_for(pilot, lambda: "grouped by equal stacks" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, WatchScreen) and app.screen.pane_index == 2)


async def test_picker_opens_a_process_and_p_comes_back() -> None:
    app = make_picker()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for(pilot, lambda: "containerd" in screen_text(app))
        assert "212 processes could not be read" in screen_text(app)
        await pilot.press("slash", *"gopls", "enter", "enter")
        await wait_for_facts(pilot)
        await pilot.press("P")
        await wait_for(pilot, lambda: isinstance(app.screen, PickerScreen))
        await pilot.press("escape")


async def test_picker_with_nothing_to_show_says_so() -> None:
    app = make_picker(lambda: FakeScan(()))
    async with app.run_test(size=SMALL) as pilot:
        await wait_for(pilot, lambda: "No Go process is visible here." in screen_text(app))


def gone(listener: Any) -> FakeInvestigation:
    raise TargetGone("process 4242 is gone", remedy="see `leaktui ps`")


async def test_a_process_that_cannot_be_opened_leads_back_to_the_picker() -> None:
    app = LeaktuiApp(picker=lambda: FakeScan(PROCESSES), open_pid=lambda pid: gone)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await wait_for(pilot, lambda: "containerd" in screen_text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "process 4242 is gone" in screen_text(app))
        assert isinstance(app.screen, PickerScreen)
        assert app.failure is None


async def test_a_named_target_that_cannot_be_opened_ends_the_application() -> None:
    app = LeaktuiApp(gone, title="pid 4242")
    async with app.run_test(size=SMALL) as pilot:
        await wait_for(pilot, lambda: app.failure is not None)
    assert app.return_code == 2
    assert str(app.failure) == "process 4242 is gone: see `leaktui ps`"


async def test_quit_and_letting_go_of_the_target() -> None:
    investigation = FakeInvestigation()
    app = make_app(investigation)
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.press("q")
    app.close_target()
    assert investigation.closed
    assert app.failure is None


async def test_mouse_on_tabs_rows_headers_and_keys() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await wait_for_facts(pilot)
        await pilot.click("#tabs", offset=(28, 0))
        assert watch_screen(app).pane_index == 2
        table = watch_screen(app).table
        assert table is not None
        await pilot.click(table, offset=(10, 4))
        assert table.cursor_row is table.rows[3]
        await pilot.click(table, offset=(10, 4))
        assert "Goroutines › main.(*thumbnailer).run" in screen_text(app)
        await pilot.press("escape")
        await pilot.click(table, offset=(4, 0))
        assert table.rows[0].group.count == 1
        await pilot.click("#keys", offset=(2, 0))
        assert watch_screen(app).pane.depth == 2


@pytest.mark.parametrize("size", [(40, 10), (240, 60)])
async def test_any_size_draws(size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await wait_for_facts(pilot)
        for key in ("1", "2", "3", "4", "enter", "question_mark", "escape"):
            await pilot.press(key)
        assert app.is_running
