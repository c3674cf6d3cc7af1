"""A recipe followed by hand gives what its program would."""

from __future__ import annotations

import struct

from leaktui.engines.memory.reader import FakeMemory
from leaktui.engines.probes.kernel.late_reading import read_texts, read_words
from leaktui.engines.probes.recipe import Recipe, Register, Text, Word

MEMORY = FakeMemory({0x1000: struct.pack("=QQQ", 0x2000, 5, 0x1000), 0x2000: b"hello"})
REGISTERS = {Register.RAX: 0x1000, Register.RBX: 3}


def test_words_follow_each_other() -> None:
    recipe = Recipe(
        (
            Word("a", Register.RAX),
            Word("back", "a", 16),
            Word("length", "back", 8),
            Word("nowhere", Register.RAX, 24),
            Word("from nil", "nowhere", 8),
            Word("again", "length"),
            Word("below", "length", -6),
            Word("absent", Register.R9),
        )
    )
    assert read_words(recipe, REGISTERS, MEMORY) == (0x1000, 0x1000, 5, 0, 0, 5, 0, 0)


def test_texts_by_header_and_by_words() -> None:
    words = (Word("a", Register.RAX), Word("p", "a", 0), Word("n", "a", 8), Word("nil", "a", 24))
    texts = (
        Text("header", "a", 0, 99),
        Text("cut", Register.RAX, 0, 4),
        Text("words", "p", None, 99, "n"),
        Text("unreadable", "p", 0, 9),
        Text("nil header", "nil", 0, 9),
        Text("nil pointer", "nil", None, 9, "n"),
    )
    recipe = Recipe(words, texts)
    found = read_words(recipe, REGISTERS, MEMORY)
    assert found is not None
    assert read_texts(recipe, REGISTERS, found, MEMORY) == (b"hello", b"hell", b"hello", b"", b"", b"")


def test_what_is_too_small_is_none() -> None:
    recipe = Recipe((Word("n", Register.RBX),), only_if="n", at_least=3)
    assert read_words(recipe, REGISTERS, MEMORY) == (3,)
    assert read_words(recipe, {Register.RBX: 2}, MEMORY) is None
