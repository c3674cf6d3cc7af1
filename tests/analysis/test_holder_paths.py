"""Sentences about what keeps objects alive."""

from __future__ import annotations

from leaktui.analysis.holder_paths import holder_evidence, root_frames
from leaktui.model.frame import Frame
from leaktui.model.holder import Holder, HolderKind, HolderSearch

FRAME = Frame("main.serve", "/src/main.go", 69)
ENTRY = Holder(HolderKind.OBJECT, 0x10, 1, 0x10, 64, "map[string][]uint8 (table)", ".groups")
MAP = Holder(HolderKind.OBJECT, 0x18, 2, 0x18, 48, "map[string][]uint8")
CACHE = Holder(HolderKind.OBJECT, 0x20, 3, 0x20, 48, "main.cache", ".entries")


def search(*path: Holder, subject: int = 1) -> HolderSearch:
    return HolderSearch(subject, 1024, "[]uint8", path=path, done=True)


def test_the_way_is_told_from_the_variable_on() -> None:
    variable = Holder(HolderKind.GLOBAL, 0x30, 4, name="main.sessions")
    [said] = holder_evidence([search(ENTRY, MAP, CACHE, variable)])
    assert said.text == (
        "1 of 1 of these objects that were looked at ([]uint8) are kept by the variable main.sessions,"
        " in main.cache.entries → map[string][]uint8"
    )


def test_the_commonest_root_comes_first_and_unknown_ones_are_not_counted() -> None:
    frame = Holder(HolderKind.FRAME, 0x40, 3, goid=7, frame=FRAME)
    stripped = Holder(HolderKind.GLOBAL, 0x50, 3, name="variable at 0x50 of main")
    said = holder_evidence([search(stripped), search(MAP, frame), search(frame), search()])
    assert [item.text.split(", in")[0] for item in said] == [
        "2 of 3 of these objects that were looked at ([]uint8) are kept by main.serve (main.go:69) of goroutine 7",
        "1 of 3 of these objects that were looked at ([]uint8) are kept by variable at 0x50 of main",
    ]
    assert root_frames([search(frame), search(stripped), search(frame)]) == (FRAME,)
