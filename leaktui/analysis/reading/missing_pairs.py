"""Waits for the second half of a pair: a lock, a token, a Done, a signal."""

from __future__ import annotations

from leaktui.analysis.reading.pairs import (
    Pairing,
    defer_second,
    follow_pair,
    iter_first_halves,
    iter_units,
    second_before_exits,
)
from leaktui.analysis.reading.subject import call_at
from leaktui.analysis.reading.unit import Unit, unit_of
from leaktui.analysis.reading.waiting import Waiting, lines_words
from leaktui.model.explanation import Explanation, MarkedLine

_CONTEXTS = frozenset({"WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause"})


class PairWaits(Waiting):
    """Locks, wait groups and condition variables."""

    def _pair(self, base: tuple[str, ...], first: str, second: str) -> Explanation | None:
        """A lock or a token somebody did not give back."""
        name = base[-1]
        pairings: list[Pairing] = []
        for unit in iter_units(self._file):
            if self._is_local(base) and unit.function.start != self._unit.function.start:
                continue
            for words in _bases(unit, name, first):
                for statement in iter_first_halves(unit, words, first):
                    pairings.append(follow_pair(unit, words, second, statement))
        missing = [item for item in pairings if item.departures]
        if not missing:
            return None
        pairing = missing[0]
        what = f"{pairing.subject} {'locked' if 'ock' in first else 'taken'}"
        lines = sorted({item.line for item in pairing.departures})
        marks = [MarkedLine(self._line, "waits here")]
        marks.append(MarkedLine(pairing.acquired.line, f"{first} here") if pairing.acquired else marks[0])
        marks += [MarkedLine(line, f"leaves without {pairing.second_text}") for line in lines]
        text = (
            f"{pairing.unit.function.name} leaves at {lines_words(lines)} with {what}: "
            f"{pairing.second_text} is missing there, and whoever comes next waits for ever."
        )
        return self._make(text, marks, second_before_exits(pairing), unit=pairing.unit)

    def _wait(self, base: tuple[str, ...]) -> Explanation | None:
        name = base[-1]
        if self._is_cond(name):
            return self._cond(name)
        missing: list[Pairing] = []
        seen: list[int] = []
        for unit, words in self._who_is_done(base):
            pairing = follow_pair(unit, words, "Done", None)
            seen += [touch.line for touch in pairing.releases]
            if pairing.departures and pairing.releases:
                missing.append(pairing)
        if not seen:
            text = f"Nothing in this file calls Done on {''.join(base)}, and Wait waits for it."
            return self._make(text, [MarkedLine(self._line, "waits here")], None, certain=False)
        if not missing:
            return None
        pairing = missing[0]
        lines = sorted({item.line for item in pairing.departures})
        marks = [MarkedLine(self._line, "waits for every Done")]
        marks += [MarkedLine(line, "returns here without Done") for line in lines]
        marks += [MarkedLine(touch.line, "Done, on the other path") for touch in pairing.releases]
        text = f"{pairing.unit.function.name} leaves at {lines_words(lines)} without Done, so Wait waits for ever."
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
        local = self._is_local(base)
        for unit in iter_units(self._file):
            if local and unit.function.start != self._unit.function.start:
                continue
            found += [
                (unit, words)
                for words in _bases(unit, base[-1], "Done")
                if not unit.is_outer_of(words, "Done")
            ]
        lexemes, function = self._lexemes, self._unit.function
        for position in range(function.body_start, function.end):
            if lexemes.texts[position] != base[-1] or lexemes.text(position + 1) not in (",", ")"):
                continue
            call = call_at(self._file, lexemes.parents[position])
            named = self._file.function_named(call.last) if call is not None else None
            if call is None or named is None:
                continue
            entries = lexemes.split(call.opened + 1, call.end - 1)
            index = next((i for i, (first, last) in enumerate(entries) if first <= position < last), -1)
            unit = unit_of(self._file, named)
            parameters = [
                item for item in unit.names.variables if item.is_parameter and item.owner == unit.owner
            ]
            parameters = [
                item for item in parameters if named.parameters[0] <= item.position < named.parameters[1]
            ]
            if 0 <= index < len(parameters):
                found.append((unit, (parameters[index].name,)))
        return found

    def _is_cond(self, name: str) -> bool:
        texts = self._lexemes.texts
        return any(
            texts[position] == name
            and texts[position + 1 : position + 3] in ([".", "Signal"], [".", "Broadcast"])
            for position in range(len(texts) - 2)
        ) or any(
            texts[position] == name and "Cond" in texts[position + 1 : position + 5]
            for position in range(len(texts) - 4)
        )

    def _cond(self, name: str) -> Explanation:
        texts, lines = self._lexemes.texts, self._lexemes.lines
        marks = [MarkedLine(self._line, "waits for a signal")]
        words: list[str] = []
        for position in range(len(texts) - 3):
            if texts[position] != name or texts[position + 1] != "." or texts[position + 3] != "(":
                continue
            if texts[position + 2] in ("Signal", "Broadcast"):
                who = "wakes one" if texts[position + 2] == "Signal" else "wakes all"
                marks.append(MarkedLine(lines[position], who))
                words.append(f"{texts[position + 2]} at line {lines[position]}")
        text = f"It waits until somebody signals {name}, and nobody does any more"
        text += f": this file has {', '.join(words)}." if words else "; nothing in this file does."
        return self._make(text, marks, None, certain=False)


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
