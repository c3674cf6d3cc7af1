"""Documents: wrapping, and a cursor that rests on what leads on."""

from __future__ import annotations

from textual.app import App, ComposeResult

from leaktui.tui.widgets.document import DocLine, Document
from leaktui.tui.widgets.toned import line_text, plain


class DocumentApp(App[None]):
    def __init__(self, lines: list[DocLine]) -> None:
        super().__init__()
        self.document = Document()
        self.lines = lines
        self.chosen: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.document

    def on_mount(self) -> None:
        self.document.set_lines(self.lines)
        self.document.focus()

    def on_document_chosen(self, message: Document.Chosen) -> None:
        self.chosen.append(message.target)


def painted(document: Document) -> list[str]:
    return [line_text(document.paint(y)[0]).rstrip() for y in range(document.size.height)]


LINES = [
    DocLine(plain("a heading")),
    DocLine(plain("first"), "one"),
    DocLine(plain("in between")),
    DocLine(plain("second"), "two"),
    *[DocLine(plain(f"prose {number}")) for number in range(60)],
    DocLine(plain("last"), "three"),
]


async def test_the_cursor_jumps_between_lines_that_lead_on() -> None:
    app = DocumentApp(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert app.document.cursor_target == "one"
        await pilot.press("enter", "down", "enter", "up", "enter")
        assert app.chosen == ["one", "two", "one"]


async def test_far_away_lines_are_scrolled_to_and_not_jumped_to() -> None:
    app = DocumentApp(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("down", "down")
        assert app.document.cursor_target == "two" and app.document.scroll_offset.y == 1
        await pilot.press("end")
        assert "last" in painted(app.document)[-1]


async def test_the_cursor_stays_with_its_target_when_lines_change() -> None:
    app = DocumentApp(LINES)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("down")
        app.document.set_lines([DocLine(plain("new"), "zero"), *LINES])
        assert app.document.cursor_target == "two"
        app.document.set_lines([DocLine(plain("new"), "zero")])
        assert app.document.cursor_target == "zero"
        app.document.set_lines([DocLine(plain("prose"))])
        assert app.document.cursor_target is None
        await pilot.press("enter", "down", "up")
        assert app.chosen == []


async def test_prose_wraps_and_rows_are_cut() -> None:
    long = "one two three four five six seven eight nine ten"
    app = DocumentApp([DocLine(plain(long), indent=2), DocLine(plain(long), wrap=False)])
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.pause()
        assert painted(app.document)[:3] == [
            "one two three four five six",
            "  seven eight nine ten",
            f"{long[:29]}…",
        ]


async def test_a_path_keeps_its_end() -> None:
    path = DocLine(
        (("at ", "muted"), ("/a/rather/long/directory/main.go:14", "plain")), wrap=False, keep_end=True
    )
    app = DocumentApp([path])
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.pause()
        assert painted(app.document)[0] == "at …long/directory/main.go:14"


async def test_a_marked_line_is_brought_to_the_middle() -> None:
    app = DocumentApp([])
    async with app.run_test(size=(40, 11)) as pilot:
        lines = [DocLine(plain(f"line {number}"), marked=number == 70) for number in range(100)]
        app.document.set_lines(lines, centre=70)
        await pilot.pause()
        assert painted(app.document)[5] == "line 70"
        assert app.document.paint(5)[1] == "line--mark"
