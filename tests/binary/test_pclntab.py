"""Pc-line tables made as data: both byte orders, long varints, inline trees, wrappers, damage."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaktui.binary.pcheader import MAGIC, decode_header, iter_headers
from leaktui.binary.pclntab import PcLineTable, printed_name
from leaktui.errors import DecodeError, LeaktuiError

TEXT = 0x40_1000
NO_TABLE = 0xFFFFFFFF
WRAPPER = 23

Runs = list[tuple[int, int]]
"""(length in quanta, value) of each run."""


@dataclass
class Func:
    """A function to be written: its name, size and value tables."""

    name: str
    size: int
    files: Runs
    lines: Runs
    start_line: int = 1
    func_id: int = 0
    inlined: Runs = field(default_factory=list)
    calls: list[tuple[int, str, int]] = field(default_factory=list)
    """(funcID, name, parent pc) of each entry of the inline tree."""


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def value_table(runs: Runs) -> bytes:
    encoded, last = b"", -1
    for length, value in runs:
        delta = value - last
        encoded += varint(delta << 1 if delta >= 0 else (-delta << 1) - 1) + varint(length)
        last = value
    return encoded + b"\0"


def write_table(
    functions: list[Func], files: list[str], *, order: str = "<", quantum: int = 1, word: str = "Q"
) -> tuple[bytes, bytes]:
    """(pc-line table, function data) as cmd/link writes them."""

    def strings(texts: list[str]) -> tuple[bytes, dict[str, int]]:
        data, places = b"", {}
        for text in texts:
            places[text] = len(data)
            data += text.encode() + b"\0"
        return data + bytes(-len(data) % 8), places

    names, name_at = strings(
        [
            "",
            *(
                name
                for function in functions
                for name in (function.name, *(call[1] for call in function.calls))
            ),
        ]
    )
    file_data, file_at = strings(files)
    units = struct.pack(f"{order}{len(files) + 1}I", *(file_at[name] for name in files), NO_TABLE)
    values, funcdata, records = b"\0", b"", []
    for function in functions:
        places = []
        for runs in (function.files, function.lines, function.inlined):
            places.append(len(values) if runs else 0)
            values += value_table(runs) if runs else b""
        tree = len(funcdata) if function.calls else NO_TABLE
        for func_id, name, parent in function.calls:
            funcdata += struct.pack(order + "B3xiii", func_id, name_at[name], parent, 1)
        records.append((places, tree))
    values += bytes(-len(values) % 8)
    entries = [0, *accumulate(function.size for function in functions)]
    infos, places_of_infos = b"", []
    start = 4 * (2 * len(functions) + 1)
    start += -start % 8
    for function, entry, ((file, line, inline), tree) in zip(functions, entries, records, strict=False):
        places_of_infos.append(start + len(infos))
        infos += struct.pack(
            order + "IiiIIIIIIiBBxB",
            entry, name_at[function.name], 0, 0, 0, file, line, 3, 0, function.start_line, function.func_id, 0, 4,
        )  # fmt: skip
        infos += struct.pack(order + "3I4I", 0, 0, inline, NO_TABLE, NO_TABLE, NO_TABLE, tree)
    table = b"".join(
        struct.pack(order + "II", entry, place)
        for entry, place in zip(entries, places_of_infos, strict=False)
    )
    table += struct.pack(order + "I", entries[-1])
    table += bytes(start - len(table)) + infos
    header_size = 8 + 8 * struct.calcsize(word)
    offsets = list(
        accumulate(
            [len(names), len(units) + -len(units) % 8, len(file_data), len(values)], initial=header_size
        )
    )
    header = struct.pack(order + "IBBBB", MAGIC, 0, 0, quantum, struct.calcsize(word))
    header += struct.pack(f"{order}8{word}", len(functions), len(files), 0, *offsets)
    return header + names + units + bytes(-len(units) % 8) + file_data + values + table, funcdata


SHAPES = [("<", 1, "Q"), ("<", 4, "Q"), (">", 2, "Q"), (">", 4, "I"), ("<", 1, "I")]


def sample(quantum: int) -> list[Func]:
    return [
        Func("main.f", 40 * quantum, [(40, 0)], [(10, 12), (20, 9000), (10, 3)], start_line=11),
        # Within main.g, from the 8th instruction on: main.inner inlined into main.middle, inlined into main.g.
        Func(
            "main.g[go.shape.int]",
            40 * quantum,
            [(8, 0), (8, 1), (24, 0)],
            [(4, 20), (4, 21), (8, 777), (24, 22)],
            inlined=[(4, -1), (4, 1), (8, 0), (24, -1)],
            calls=[(0, "main.inner", 5 * quantum), (0, "main.middle", 2 * quantum)],
        ),
        Func(
            "main.(*T).w",
            16 * quantum,
            [(16, 2)],
            [(16, 1)],
            func_id=WRAPPER,
            inlined=[(8, 0), (8, -1)],
            calls=[(0, "main.T.w", 9 * quantum)],
        ),
        Func("main.(*U).w", 16 * quantum, [(16, 2)], [(16, 1)], func_id=WRAPPER),
        Func("nowhere", 16 * quantum, [], []),
    ]


FILES = ["/src/main.go", "/src/inner.go", "<autogenerated>"]


@pytest.mark.parametrize(("order", "quantum", "word"), SHAPES)
def test_functions_and_frames(order: str, quantum: int, word: str) -> None:
    data, funcdata = write_table(sample(quantum), FILES, order=order, quantum=quantum, word=word)
    table = PcLineTable(data, text_start=TEXT, funcdata=funcdata)
    assert len(table) == 5
    assert table.validates(funcdata)
    assert table.text_end == TEXT + 128 * quantum
    first = table.function(0)
    assert (first.name, first.entry, first.end) == ("main.f", TEXT, TEXT + 40 * quantum)
    assert (first.file, first.line) == ("/src/main.go", 11)

    def frames(function: int, instruction: int) -> list[tuple[str, str, int, bool]]:
        found = table.frames(table.entry(function) + instruction * quantum)
        return [(frame.function, frame.file, frame.line, frame.inlined) for frame in found]

    assert [frames(0, at)[0][2] for at in (0, 9, 10, 29, 30, 39)] == [12, 12, 9000, 9000, 3, 3]
    assert frames(1, 0) == [("main.g[...]", "/src/main.go", 20, False)]
    assert frames(1, 10) == [
        ("main.inner", "/src/inner.go", 777, True),
        ("main.middle", "/src/main.go", 21, True),
        ("main.g[...]", "/src/main.go", 20, False),
    ]
    # The wrapper around the inlined method is left out; by itself it is shown.
    assert frames(2, 3) == [("main.T.w", "<autogenerated>", 1, True)]
    assert frames(2, 12) == [("main.(*T).w", "<autogenerated>", 1, False)]
    assert frames(4, 0) == [("nowhere", "", 0, False)]
    assert table.frames(TEXT - 1) == table.frames(table.text_end) == ()


@pytest.mark.parametrize(("order", "quantum", "word"), SHAPES)
def test_looking_up_names(order: str, quantum: int, word: str) -> None:
    data, funcdata = write_table(sample(quantum), FILES, order=order, quantum=quantum, word=word)
    table = PcLineTable(data, text_start=TEXT, funcdata=funcdata)
    for index in range(5):
        assert list(table.find_indexes(table.name(index))) == [index]
    for name in ("", "main", "main.ff", "ain.f", "main.inner", "a\0b"):
        assert list(table.find_indexes(name)) == []
    assert list(table.iter_names("main.i")) == ["main.inner"]
    assert "nowhere" in table.iter_names()
    middle, inner = table.entry(1) + 2 * quantum, table.entry(1) + 5 * quantum
    assert list(table.iter_inlined("main.middle")) == [middle]
    assert list(table.iter_inlined("main.inner")) == [inner]
    assert list(table.iter_inlined("main.f")) == []
    assert [frame.function for frame in table.frames(inner)] == ["main.middle", "main.g[...]"]


runs = st.lists(st.tuples(st.integers(1, 1 << 20), st.integers(-1, 1 << 22)), min_size=1, max_size=30)


@given(runs)
def test_every_line_of_a_table(lines: Runs) -> None:
    # A run with the value of the one before is not written by the linker: it would end the table.
    joined: Runs = []
    for length, value in lines:
        if joined and joined[-1][1] == value:
            joined[-1] = (joined[-1][0] + length, value)
        else:
            joined.append((length, value))
    size = sum(length for length, _ in joined)
    data, _ = write_table([Func("f.f", size, [(size, 0)], joined)], ["a.go"])
    table = PcLineTable(data, text_start=TEXT)
    pc = TEXT
    for length, value in joined:
        for at in {pc, pc + length // 2, pc + length - 1}:
            assert table.frames(at)[0].line == max(value, 0)
        pc += length


@given(st.data())
@settings(max_examples=200)
def test_damage_is_an_error_or_an_answer(data: st.DataObject) -> None:
    table, funcdata = write_table(sample(1), FILES)
    damaged = bytearray(table)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    blob = bytes(damaged[:cut] if data.draw(st.booleans()) else damaged)
    try:
        read = PcLineTable(
            blob, text_start=TEXT, funcdata=funcdata[: data.draw(st.integers(0, len(funcdata)))]
        )
    except LeaktuiError:
        return
    for look in (
        lambda: [read.frames(pc) for pc in range(TEXT - 1, TEXT + 140, 3)],
        lambda: [read.function(index) for index in range(min(len(read), 100))],
        lambda: [list(read.iter_inlined(name)) for name in ("main.inner", "main.middle")],
        lambda: [list(read.find_indexes(name)) for name in ("main.f", "nowhere")],
        lambda: list(read.iter_names()),
        lambda: read.validates(funcdata),
    ):
        try:
            look()
        except LeaktuiError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xf1\xff\xff\xff",
        bytes(80),
        b"\xf1\xff\xff\xff\0\0\1\x08" + bytes(64),
        b"\xf0\xff\xff\xff\0\0\1\x08" + bytes(64),
        b"\xfb\xff\xff\xff\0\0\1\x08" + bytes(64),
    ],
)
def test_no_header(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_header(data)
    assert list(iter_headers(b"x" * 16 + data + bytes(100))) == []


def test_headers_are_found_among_other_bytes() -> None:
    data, _ = write_table(sample(1), FILES)
    assert list(iter_headers(bytes(40) + b"\xf1\xff\xff\xff\0\0\1\x08" + bytes(80) + data)) == [128]


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("main.f", "main.f"),
        ("main.f[int]", "main.f[...]"),
        ("main.(*T[go.shape.[]int]).m", "main.(*T[...]).m"),
        ("main.f[a].func1[b]", "main.f[...]"),
        ("main.]f[", "main.]f["),
    ],
)
def test_printed_name(name: str, printed: str) -> None:
    assert printed_name(name) == printed
