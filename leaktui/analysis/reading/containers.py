"""What kind of container a name stands for: who else can name it, and whether storing by an index can make it grow.

Law: told from written types and what is made where it is declared; two declarations that do not agree tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from leaktui.analysis.go_syntax.lexemes import Lexemes
from leaktui.analysis.go_syntax.statement import Range
from leaktui.analysis.reading.subject import type_of
from leaktui.analysis.reading.unit import GoFile, Unit

_MAPS_OF_THE_LIBRARY = frozenset({"http.Header", "url.Values", "textproto.MIMEHeader", "mail.Header"})


class Reach(Enum):
    """What kind of name a container has."""

    LOCAL = "a parameter, or a variable of the function around"
    GLOBAL = "a variable of the package"
    FIELD = "a field"


class Shape(Enum):
    """What it is made of, as far as that can be told."""

    MAP = "map"
    SEQUENCE = "array or slice"
    """Storing by an index replaces what was there."""
    UNKNOWN = "unknown"


def reach_of(unit: Unit, base: Range) -> Reach:
    """Who can name what *base* (`c.entries`, `seen`) names."""
    if base[1] > base[0] + 1:
        return Reach.FIELD
    return Reach.LOCAL if base[0] in unit.names.at else Reach.GLOBAL


def holder_of(unit: Unit, base: Range) -> str:
    """The written type of `c` in `c.entries`; empty where there is none, or more on the way."""
    return type_of(unit, base[0]) if base[1] == base[0] + 3 else ""


def shape_of(unit: Unit, base: Range) -> Shape:
    """What *base* is made of."""
    reach, lexemes = reach_of(unit, base), unit.lexemes
    name = lexemes.text(base[1] - 1)
    if reach is Reach.LOCAL:
        found = {_local_shape(unit, base[0])}
    elif reach is Reach.GLOBAL:
        found = {
            _shape_at(file, at)
            for file in (unit.file, *unit.file.others("var", name))
            for at in _globals(file.lexemes, name)
        }
    else:
        holder = holder_of(unit, base)
        found = {
            _shape_at(file, at)
            for file in (unit.file, *unit.file.others("struct", name))
            for at in _fields(file.lexemes, name, holder)
        }
    return found.pop() if len(found) == 1 else Shape.UNKNOWN


def _local_shape(unit: Unit, position: int) -> Shape:
    variable = unit.names.variables[unit.names.at[position]]
    if variable.type_range is not None:
        return _shape_at(unit.file, variable.type_range[0])
    at = variable.position + 1
    return _shape_at(unit.file, at + 1) if unit.lexemes.text(at) == ":=" else Shape.UNKNOWN


def _globals(lexemes: Lexemes, name: str) -> Iterator[int]:
    """Where the type or value of a package's variable of that name is written."""
    for position, text in enumerate(lexemes.texts):
        if text != name:
            continue
        around = lexemes.parents[position]
        grouped = lexemes.text(around) == "(" and lexemes.text(around - 1) == "var"
        alone = around < 0 and lexemes.text(position - 1) == "var"
        if alone or (grouped and lexemes.text(position - 1) in ("(", ";")):
            yield position + (2 if lexemes.text(position + 1) == "=" else 1)


def _fields(lexemes: Lexemes, name: str, holder: str) -> Iterator[int]:
    """Where the type of a field of that name is written, in the struct called *holder* where that is known."""
    for position, text in enumerate(lexemes.texts):
        brace = lexemes.parents[position]
        if text != name or lexemes.text(brace) != "{" or lexemes.text(brace - 1) != "struct":
            continue
        owner = lexemes.text(brace - 2)
        if lexemes.text(position - 1) not in ("{", ";", ",") or (holder and owner not in (holder, "]")):
            continue
        at = position + 1
        while lexemes.text(at) == ",":
            at += 2
        yield at


def _shape_at(file: GoFile, at: int, depth: int = 0) -> Shape:
    """Of the type, or of the value made, that is written at *at*."""
    lexemes = file.lexemes
    if lexemes.texts[at : at + 2] == ["make", "("]:
        at += 2
    text = lexemes.text(at)
    if text == "map":
        return Shape.MAP
    if text in ("[", "..."):
        return Shape.SEQUENCE
    if "".join(lexemes.texts[at : at + 3]) in _MAPS_OF_THE_LIBRARY:
        return Shape.MAP
    if not lexemes.is_name(at) or lexemes.text(at + 1) in (".", "(") or depth:
        return Shape.UNKNOWN
    found = {
        _shape_at(other, position + 2, depth + 1)
        for other in (file, *file.others("type", text))
        for position in _types(other.lexemes, text)
    }
    return found.pop() if len(found) == 1 else Shape.UNKNOWN


def _types(lexemes: Lexemes, name: str) -> Iterator[int]:
    """Where `type name T` declares it: the position of `type`, or of what stands before it in a group."""
    for position, text in enumerate(lexemes.texts):
        if text == name and lexemes.text(position - 1) in ("type", ";", "("):
            around = lexemes.parents[position]
            grouped = lexemes.text(around) == "(" and lexemes.text(around - 1) == "type"
            if grouped or lexemes.text(position - 1) == "type":
                yield position - 1
