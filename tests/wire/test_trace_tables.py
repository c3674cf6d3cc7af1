import pytest

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.wire.trace import Tables, tables
from leaktui.wire.trace import events as ev
from tests.wire.trace_bytes import varints


def strings(*entries: tuple[int, bytes]) -> bytes:
    return bytes([ev.STRINGS]) + b"".join(
        varints(ev.STRING, number, len(text)) + text for number, text in entries
    )


def test_strings_and_stacks_resolve() -> None:
    table = Tables()
    table.add_strings(strings((1, b"main.f"), (2, b"/src/main.go"), (7, "main.größe".encode())))
    table.add_stacks(bytes([ev.STACKS]) + varints(ev.STACK, 3, 2, 0x4711, 1, 2, 12, 0x4800, 7, 2, 30))
    inner, outer = table.stack(3)
    assert (inner.function, inner.file, inner.line, inner.pc) == ("main.f", "/src/main.go", 12, 0x4711)
    assert (outer.function, outer.line) == ("main.größe", 30)
    assert table.stack_key(3) == (0x4711, 0x4800, 12, 30)


def test_number_0_is_empty() -> None:
    assert Tables().string(0) == ""
    assert Tables().stack(0) == ()
    assert Tables().stack_key(0) == ()


def test_names_are_safe_to_print() -> None:
    table = Tables()
    table.add_strings(strings((1, b"main.\x1b[31mred\xff\r")))
    assert table.string(1).isprintable()


def test_what_the_table_lacks() -> None:
    with pytest.raises(DecodeError, match="lacks its string 9"):
        Tables().string(9)
    with pytest.raises(DecodeError, match="lacks its stack 9"):
        Tables().stack(9)


@pytest.mark.parametrize(
    "data",
    [
        bytes([ev.STRINGS, 9]),
        bytes([ev.STRINGS, ev.STRING, 1]),
        bytes([ev.STRINGS, ev.STRING, 1, 0x80]),
        bytes([ev.STRINGS, ev.STRING, 1, 5]) + b"four",
        bytes([ev.STRINGS]) + varints(ev.STRING, 1, 1025) + b"x" * 1025,
    ],
)
def test_damaged_strings(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Tables().add_strings(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes([ev.STACKS, 9]),
        bytes([ev.STACKS, ev.STACK, 1]),
        bytes([ev.STACKS, ev.STACK, 1, 1, 2, 3, 4]),
        bytes([ev.STACKS]) + varints(ev.STACK, 1, 1 << 60),
    ],
)
def test_damaged_stacks(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Tables().add_stacks(data)


def test_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_STRINGS", 2)
    monkeypatch.setattr(tables, "MAX_FRAMES", 2)
    with pytest.raises(LimitExceeded, match="more than 2 strings"):
        Tables().add_strings(strings((1, b"a"), (2, b"b"), (3, b"c")))
    with pytest.raises(LimitExceeded, match="more than 2 frames"):
        Tables().add_stacks(bytes([ev.STACKS]) + varints(ev.STACK, 1, 3, *[1] * 12))
