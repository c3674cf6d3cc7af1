"""The chart of lanes: what a column sums up, zoom, scroll, folding, and that cost follows the screen."""

from __future__ import annotations

from textual.app import App, ComposeResult

from leaktui.tui.widgets.lane_chart import ChartLane, LaneChart
from leaktui.tui.widgets.toned import line_text


class ChartApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.chart = LaneChart()

    def compose(self) -> ComposeResult:
        yield self.chart


def lanes(steps: int = 1000) -> list[ChartLane]:
    return [
        ChartLane("level", [float(index) for index in range(steps)], lambda value: f"{value:.0f}"),
        ChartLane("rate", [1.0] * steps, lambda value: f"{value:.0f}/s", rate=True),
    ]


def painted(chart: LaneChart) -> list[str]:
    return [line_text(chart.paint(y)[0]).rstrip() for y in range(chart.size.height)]


async def test_all_of_it_first_and_values_at_the_cursor() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.chart.set_lanes(lanes(), 0.01, fresh=True)
        await pilot.pause()
        assert app.chart.window == (0.0, 10.0)
        text = painted(app.chart)
        assert text[0].startswith("▸level")
        assert "at 0.000 s: level 16, at most 999 here" in text[-1]
        assert "┴0 s" in text[-2] and "┴5 s" in text[-2]
        assert any("100/s" in line for line in text)  # one a step of 10 ms
        app.chart.focus()
        await pilot.press("end")
        assert "level 999" in painted(app.chart)[-1]


async def test_zoom_keeps_the_cursor_where_it_is() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.chart.set_lanes(lanes(), 0.01, fresh=True)
        app.chart.focus()
        await pilot.press("shift+right", "shift+right", "plus", "plus")
        start, length = app.chart.window
        assert length == 2.5
        assert start <= 5.0 <= start + length
        assert "at 5.000 s" in painted(app.chart)[-1]
        for _ in range(12):
            await pilot.press("plus")
        assert app.chart.window[1] >= 0.08  # eight steps: beyond, there is nothing more to see
        for _ in range(20):
            await pilot.press("minus")
        assert app.chart.window == (0.0, 10.0)


async def test_the_cursor_scrolls_what_is_zoomed() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.chart.set_lanes(lanes(), 0.01, fresh=True)
        app.chart.focus()
        await pilot.press("plus", "plus", "end")
        start, length = app.chart.window
        assert start + length == 10.0
        await pilot.press("home")
        assert app.chart.window == (0.0, 2.5)
        await pilot.press("left")
        assert app.chart.window == (0.0, 2.5)


async def test_a_folded_lane_gives_its_room_away() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 6)) as pilot:
        app.chart.set_lanes(lanes(), 0.01, fresh=True)
        app.chart.focus()
        before = sum("█" in line for line in painted(app.chart))
        await pilot.press("space")
        text = painted(app.chart)
        assert "hidden" in text[0] and "level is hidden" in text[-1]
        assert sum("█" in line for line in text) >= before - 1
        await pilot.press("down")
        assert app.chart.selected is not None and app.chart.selected.title == "rate"
        await pilot.press("up", "space")
        assert not app.chart.hidden


async def test_enter_says_which_steps() -> None:
    chosen: list[tuple[int, int]] = []

    class Listening(ChartApp):
        def on_lane_chart_chosen(self, message: LaneChart.Chosen) -> None:
            chosen.append((message.first, message.last))

    app = Listening()
    async with app.run_test(size=(80, 12)) as pilot:
        app.chart.set_lanes(lanes(), 0.01, fresh=True)
        app.chart.focus()
        await pilot.press("enter", "end", "enter")
    (first, last), (begin, end) = chosen
    assert first == 0 and 17 <= last <= 18
    assert end == 1000 and begin < end


async def test_little_room_and_no_lanes() -> None:
    app = ChartApp()
    async with app.run_test(size=(30, 4)) as pilot:
        app.chart.set_empty("nothing yet")
        await pilot.pause()
        assert "nothing yet" in "\n".join(painted(app.chart))
        app.chart.focus()
        await pilot.press("plus", "left", "right", "down", "space", "enter", "end", "home")
        app.chart.set_lanes(lanes(3), 1.0, fresh=True)
        await pilot.press("plus", "right", "right", "right", "end")
        assert len(painted(app.chart)) == 4
        assert all(len(line) <= 30 for line in painted(app.chart))


async def test_only_the_columns_shown_are_summed() -> None:
    class Counting(list[float]):
        taken = 0

        def __getitem__(self, index: object) -> object:  # type: ignore[override]
            Counting.taken += 1
            return super().__getitem__(index)  # type: ignore[index]

    app = ChartApp()
    async with app.run_test(size=(80, 12)) as pilot:
        values = Counting(float(index) for index in range(200_000))
        app.chart.set_lanes([ChartLane("level", values, str)], 0.01, fresh=True)
        await pilot.pause()
        Counting.taken = 0
        app.chart.action_move(1)
        assert Counting.taken <= 80
