"""Waits for the second half of a pair: a lock, a token, a Done, a signal."""

from __future__ import annotations

from collections.abc import Iterator

from leaktui.analysis.reading.pairs import (
    Pairing,
    defer_second,
    follow_pair,
    iter_first_halves,
    iter_units,
    second_before_exits,
)
from leaktui.analysis.reading.subject import call_at, called_unit, type_of
from leaktui.analysis.reading.unit import Unit
from leaktui.analysis.reading.waiting import Waiting, places_words
from leaktui.model.explanation import Explanation, MarkedLine

_CONTEXTS = frozenset({"WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause"})


class PairWaits(Waiting):
    """Locks, wait groups and condition variables."""

    def _pair(self, base: tuple[str, ...], first: str, second: str) -> Explanation | None:
        """A lock or a token somebody did not give back."""
        pairing = next((item for item in self._pairings(base, first, second) if item.departures), None)
        if pairing is None:
            return None
        what = f"{pairing.subject} {'locked' if 'ock' in first else 'taken'}"
        lines = sorted({item.line for item in pairing.departures})
        there = pairing.unit.file
        marks = [MarkedLine(self._line, "waits here")]
        if pairing.acquired is not None:
            marks += self._mark(there, pairing.acquired.line, f"{first} here")
        for line in lines:
            marks += self._mark(there, line, f"leaves without {pairing.second_text}")
        where = places_words([(there, line) for line in lines], self._file)
        text = (
            f"{pairing.unit.function.name} leaves at {where} with {what}: "
            f"{pairing.second_text} is missing there, and whoever comes next waits for ever."
        )
        return self._make(text, marks, second_before_exits(pairing), unit=pairing.unit)

    def _pairings(self, base: tuple[str, ...], first: str, second: str) -> Iterator[Pairing]:
        """Every first half on that name."""
        for unit in self._units(base, first):
            for words in _bases(unit, base[-1], first):
                if self._may_be(unit, words, base):
                    for statement in iter_first_halves(unit, words, first):
                        yield follow_pair(unit, words, second, statement)

    def _may_be(self, unit: Unit, words: tuple[str, ...], base: tuple[str, ...]) -> bool:
        """Whether *words* in *unit* can be what *base* names here: no other type's field, and elsewhere this type's."""
        holder, there = self._holder(base), _holder_in(unit, words)
        if unit.file is not self._file and not there:
            return False
        return not (holder and there) or holder == there

    def _units(self, base: tuple[str, ...], word: str) -> Iterator[Unit]:
        """Every function that may know what *base* names, this file's first."""
        local = self._is_local(base)
        for unit in iter_units(self._file):
            if not local or unit.function.start == self._unit.function.start:
                yield unit
        if self._holder(base):
            for file in self._file.others(base[-1], word):
                yield from iter_units(file)

    def _holder(self, base: tuple[str, ...]) -> str:
        """The type whose field `x.mu` is, empty where it is another kind of name, or not known."""
        return _holder_in(self._unit, base)

    def _wait(self, base: tuple[str, ...]) -> Explanation | None:
        name = base[-1]
        if self._is_cond(name):
            return self._cond(name)
        missing: list[Pairing] = []
        seen = False
        for unit, words in self._who_is_done(base):
            pairing = follow_pair(unit, words, "Done", None)
            seen |= bool(pairing.releases)
            if pairing.departures and pairing.releases:
                missing.append(pairing)
        if not seen:
            text = f"Nothing in {self._file.scope} calls Done on {''.join(base)}, and Wait waits for it."
            return self._make(text, [MarkedLine(self._line, "waits here")], None, certain=False)
        if not missing:
            return None
        pairing = missing[0]
        lines = sorted({item.line for item in pairing.departures})
        marks = [MarkedLine(self._line, "waits for every Done")]
        there = pairing.unit.file
        for line in lines:
            marks += self._mark(there, line, "returns here without Done")
        for touch in pairing.releases:
            marks += self._mark(there, touch.line, "Done, on the other path")
        where = places_words([(there, line) for line in lines], self._file)
        text = f"{pairing.unit.function.name} leaves at {where} without Done, so Wait waits for ever."
        edits = defer_second(pairing) or second_before_exits(pairing)
        return self._make(text, marks, edits, unit=pairing.unit)

    def _is_local(self, base: tuple[str, ...]) -> bool:
        """Whether *base* is a variable of this function alone."""
        return len(base) == 1 and any(
            variable.name == base[0] and not variable.is_parameter for variable in self._unit.names.variables
        )

    def _who_is_done(self, base: tuple[str, ...]) -> list[tuple[Unit, tuple[str, ...]]]:
        """The functions that call Done on the group of this name, and what they call it."""
        found: list[tuple[Unit, tuple[str, ...]]] = []
        for unit in self._units(base, "Done"):
            found += [
                (unit, words)
                for words in _bases(unit, base[-1], "Done")
                if not unit.is_outer_of(words, "Done") and self._may_be(unit, words, base)
            ]
        lexemes, function = self._lexemes, self._unit.function
        for position in range(function.body_start, function.end):
            if lexemes.texts[position] != base[-1] or lexemes.text(position + 1) not in (",", ")"):
                continue
            call = call_at(self._file, lexemes.parents[position])
            called = called_unit(self._unit, call) if call is not None else None
            if call is None or called is None:
                continue
            entries = lexemes.split(call.opened + 1, call.end - 1)
            index = next((i for i, (first, last) in enumerate(entries) if first <= position < last), -1)
            parameters = [
                item for item in called.names.variables if item.is_parameter and item.owner == called.owner
            ]
            parameters = [
                item for item in parameters if called.parameters[0] <= item.position < called.parameters[1]
            ]
            if 0 <= index < len(parameters):
                found.append((called, (parameters[index].name,)))
        return found

    def _is_cond(self, name: str) -> bool:
        for file in (self._file, *self._file.others(name)):
            texts = file.lexemes.texts
            for position, word in enumerate(texts):
                if word == name and (
                    texts[position + 1 : position + 3] in ([".", "Signal"], [".", "Broadcast"])
                    or "Cond" in texts[position + 1 : position + 5]
                ):
                    return True
        return False

    def _cond(self, name: str) -> Explanation:
        marks = [MarkedLine(self._line, "waits for a signal")]
        words: list[str] = []
        for file in (self._file, *self._file.others(name)):
            texts, lines = file.lexemes.texts, file.lexemes.lines
            for position in range(len(texts) - 3):
                if texts[position] != name or texts[position + 1] != "." or texts[position + 3] != "(":
                    continue
                if texts[position + 2] in ("Signal", "Broadcast"):
                    who = "wakes one" if texts[position + 2] == "Signal" else "wakes all"
                    marks += self._mark(file, lines[position], who)
                    words.append(f"{texts[position + 2]} at {file.place(lines[position], self._file)}")
        scope = self._file.scope
        text = f"It waits until somebody signals {name}, and nobody does any more"
        text += f": {scope} has {', '.join(words)}." if words else f"; nothing in {scope} does."
        return self._make(text, marks, None, certain=False)


def _holder_in(unit: Unit, words: tuple[str, ...]) -> str:
    """The written type of `x` in `x.mu`, where *words* stand so in *unit*; empty where that is not known."""
    if len(words) != 3:
        return ""
    texts = unit.lexemes.texts
    for position in range(unit.owner, unit.end - 2):
        if tuple(texts[position : position + 3]) == words and texts[position - 1] != ".":
            return type_of(unit, position)
    return ""


def _bases(unit: Unit, name: str, method: str, *, loose: bool = False) -> list[tuple[str, ...]]:
    """The words in *unit* that end in *name* and have *method* called on them; any words if *loose*."""
    lexemes = unit.lexemes
    found: list[tuple[str, ...]] = []
    for position in range(unit.owner, unit.end):
        if (
            lexemes.texts[position] != method
            or lexemes.text(position + 1) != "("
            or lexemes.text(position - 1) != "."
        ):
            continue
        start = position - 2
        while lexemes.text(start - 1) == "." and lexemes.is_name(start - 2):
            start -= 2
        words = tuple(lexemes.texts[start : position - 1])
        if words and (words[-1] == name or loose) and words not in found:
            found.append(words)
    return found
