"""A recipe followed by hand, a little after the hit: registers are those of the hit, memory is as it is by now.

Law: what cannot be read is 0 or empty, as in a program; that it was there, and not something else since, nobody
proves.
"""

from __future__ import annotations

from collections.abc import Mapping

from leaktui.engines.memory.reader import MemoryReader, Unreadable
from leaktui.engines.probes.recipe import Recipe, Register, Text

_WORD = (1 << 64) - 1


def read_words(
    recipe: Recipe, registers: Mapping[Register, int], memory: MemoryReader
) -> tuple[int, ...] | None:
    """The words of *recipe*; None where it is not to be recorded. Raises TargetGone."""
    found: dict[str, int] = {}
    for word in recipe.words:
        base = _base(word.base, registers, found)
        if word.offset is None:
            found[word.name] = base
        else:
            data = _read(memory, base + word.offset, 8) if base else b""
            found[word.name] = int.from_bytes(data, "little")
    if recipe.only_if and found[recipe.only_if] < recipe.at_least:
        return None
    return tuple(found.values())


def read_texts(
    recipe: Recipe, registers: Mapping[Register, int], words: tuple[int, ...], memory: MemoryReader
) -> tuple[bytes, ...]:
    """The texts of *recipe*, whose words are *words*. Raises TargetGone."""
    found = {word.name: value for word, value in zip(recipe.words, words, strict=True)}
    return tuple(_read_text(text, registers, found, memory) for text in recipe.texts)


def _read_text(
    text: Text, registers: Mapping[Register, int], found: Mapping[str, int], memory: MemoryReader
) -> bytes:
    pointer = _base(text.base, registers, found)
    if text.offset is None:
        length = found[text.length]
    elif pointer:
        header = _read(memory, pointer + text.offset, 16)
        pointer, length = int.from_bytes(header[:8], "little"), int.from_bytes(header[8:], "little")
    else:
        return b""
    return _read(memory, pointer, min(length, text.limit)) if pointer else b""


def _base(base: Register | str, registers: Mapping[Register, int], found: Mapping[str, int]) -> int:
    return found[base] if isinstance(base, str) else registers.get(base, 0)


def _read(memory: MemoryReader, address: int, size: int) -> bytes:
    try:
        return memory.read(address & _WORD, size)
    except Unreadable:
        return b""
