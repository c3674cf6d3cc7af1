"""From the text of a Go file to the statements of its functions.

Law: a function is parsed whole or not at all; a body nested deeper than any person writes is left opaque. The
cost is linear in the text.
"""

from __future__ import annotations

from contextlib import suppress

from leaktui.analysis.go_syntax.lexemes import Lexemes
from leaktui.analysis.go_syntax.statement import Clause, Function, Kind, Literal, Range, Statement
from leaktui.analysis.go_syntax.types import find_block, find_result_end, find_type_end

_DEEPEST = 60
_BRANCHES = frozenset({"break", "continue", "goto", "fallthrough"})
_ASSIGNMENTS = frozenset({"=", ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "&^="})
_TYPE_ENDS = frozenset({"]", "chan"})


class _Broken(Exception):
    """The text is not Go as this parser knows it."""


def parse_functions(lexemes: Lexemes, covering: int | None = None) -> tuple[Function, ...]:
    """The declared functions with a body, in order; only those whose text covers the line *covering* if given."""
    parser = _Parser(lexemes)
    found: list[Function] = []
    position = 0
    while position < len(lexemes):
        if lexemes.texts[position] == "func":
            header = parser.header(position)
            if header is not None:
                opened = header[0]
                closed = lexemes.closing[opened]
                if covering is None or lexemes.lines[position] <= covering <= lexemes.lines[closed]:
                    with suppress(_Broken):
                        found.append(parser.function(position, header))
                position = closed
        position = lexemes.closing.get(position, position) + 1
    return tuple(found)


class _Parser:
    def __init__(self, lexemes: Lexemes) -> None:
        self._lexemes = lexemes
        self._depth = 0

    def header(self, position: int) -> tuple[int, str, Range, Range, Range] | None:
        """Body's brace, name, receiver, parameters and results of the declaration at *position*."""
        lexemes = self._lexemes
        receiver: Range = (position, position)
        owner = ""
        position += 1
        if lexemes.text(position) == "(" and position in lexemes.closing:
            receiver = (position + 1, lexemes.closing[position])
            words = lexemes.texts[receiver[0] : receiver[1]]
            base = words[: words.index("[")] if "[" in words else words
            owner = next((word for word in reversed(base) if word.isidentifier()), "")
            position = lexemes.closing[position] + 1
        if not lexemes.is_name(position):
            return None
        name = lexemes.text(position)
        position += 1
        if lexemes.text(position) == "[":
            position = lexemes.closing.get(position, len(lexemes)) + 1
        if lexemes.text(position) != "(" or position not in lexemes.closing:
            return None
        parameters = (position + 1, lexemes.closing[position])
        first = parameters[1] + 1
        end = find_result_end(lexemes, first)
        if lexemes.text(end) != "{" or end not in lexemes.closing:
            return None
        return end, f"{owner}.{name}" if owner else name, receiver, parameters, self._unwrapped(first, end)

    def function(self, position: int, header: tuple[int, str, Range, Range, Range]) -> Function:
        opened, name, receiver, parameters, results = header
        closed = self._lexemes.closing[opened]
        self._depth = 0
        body = self._block(opened)
        lines = self._lexemes.lines
        return Function(
            name,
            position,
            closed + 1,
            lines[position],
            lines[closed],
            receiver,
            parameters,
            results,
            opened,
            body,
        )

    def _unwrapped(self, start: int, end: int) -> Range:
        if self._lexemes.text(start) == "(" and self._lexemes.closing.get(start) == end - 1:
            return start + 1, end - 1
        return start, end

    # -- statements ----------------------------------------------------------------------------------

    def _block(self, opened: int) -> tuple[Statement, ...]:
        closed = self._lexemes.closing.get(opened)
        if closed is None or self._lexemes.text(opened) != "{":
            raise _Broken
        return self._list(opened + 1, closed)[0]

    def _list(self, position: int, end: int) -> tuple[tuple[Statement, ...], int]:
        """Statements up to *end*, or to the next case of the same switch."""
        self._depth += 1
        texts = self._lexemes.texts
        if self._depth > _DEEPEST:
            self._depth -= 1
            if position >= end:
                return (), end
            return (self._make(Kind.OPAQUE, position, end),), end
        found: list[Statement] = []
        while position < end and texts[position] not in ("case", "default"):
            statement = self._statement(position, end)
            found.append(statement)
            position = max(statement.end, position)
            if position < end and texts[position] == ";":
                position += 1
            elif statement.end == statement.start and statement.kind is not Kind.EMPTY:
                raise _Broken
        self._depth -= 1
        return tuple(found), position

    def _statement(self, position: int, end: int) -> Statement:
        lexemes = self._lexemes
        text = lexemes.texts[position]
        if text == ";":
            return self._make(Kind.EMPTY, position, position)
        if text == "{":
            closed = self._closing(position, end)
            return self._make(Kind.BLOCK, position, closed + 1, body=self._block(position))
        if text == "if":
            return self._if(position, end)
        if text == "for":
            return self._for(position, end)
        if text in ("switch", "select"):
            return self._switch(position, end)
        if lexemes.text(position + 1) == ":" and lexemes.is_name(position):
            return self._labeled(position, end)
        stop = self._simple_end(position, end)
        if text in _BRANCHES:
            label = lexemes.text(position + 1) if position + 1 < stop else ""
            return self._make(Kind.BRANCH, position, stop, operator=text, label=label)
        if text in ("var", "const", "type"):
            return self._declaration(position, stop)
        if text in ("return", "go", "defer"):
            kind = {"return": Kind.RETURN, "go": Kind.GO, "defer": Kind.DEFER}[text]
            values = lexemes.split(position + 1, stop)
            return self._make(kind, position, stop, values=values, literals=self._literals(position, stop))
        return self._simple(position, stop)

    def _labeled(self, position: int, end: int) -> Statement:
        label = self._lexemes.texts[position]
        first = position + 2
        if first >= end or self._lexemes.texts[first] in ("case", "default"):
            return self._make(Kind.LABELED, position, first, label=label)
        inner = self._statement(first, end)
        return self._make(Kind.LABELED, position, max(inner.end, first), label=label, body=(inner,))

    def _if(self, position: int, end: int) -> Statement:
        opened = self._brace(position, end)
        init, condition, _ = self._header(position + 1, opened)
        body = self._block(opened)
        stop = self._lexemes.closing[opened] + 1
        orelse: Statement | None = None
        if stop < end and self._lexemes.texts[stop] == "else":
            self._depth += 1
            if self._depth > _DEEPEST:
                raise _Broken
            orelse = self._statement(stop + 1, end)
            self._depth -= 1
            if orelse.kind not in (Kind.IF, Kind.BLOCK):
                raise _Broken
            stop = orelse.end
        literals = self._literals(*condition) if condition is not None else ()
        return self._make(
            Kind.IF,
            position,
            stop,
            init=init,
            condition=condition,
            body=body,
            orelse=orelse,
            literals=literals,
        )

    def _for(self, position: int, end: int) -> Statement:
        lexemes = self._lexemes
        opened = self._brace(position, end)
        stop = lexemes.closing[opened] + 1
        first = position + 1
        ranged = next((at for at in lexemes.iter_level(first, opened) if lexemes.texts[at] == "range"), None)
        if ranged is not None:
            operator = lexemes.texts[ranged - 1] if ranged > first else ""
            targets = lexemes.split(first, ranged - 1) if operator else ()
            return self._make(
                Kind.RANGE,
                position,
                stop,
                operator=operator,
                targets=targets,
                values=((ranged + 1, opened),),
                body=self._block(opened),
                literals=self._literals(first, opened),
            )
        parts = lexemes.split(first, opened, ";")
        init = post = None
        condition: Range | None = None
        if len(parts) == 1:
            condition = parts[0]
        elif parts:
            init, condition = self._optional(parts[0]), parts[1]
            post = self._optional(parts[2]) if len(parts) > 2 else None
        if condition is not None and condition[0] >= condition[1]:
            condition = None
        literals = self._literals(*condition) if condition is not None else ()
        body = self._block(opened)
        return self._make(
            Kind.FOR, position, stop, init=init, condition=condition, post=post, body=body, literals=literals
        )

    def _switch(self, position: int, end: int) -> Statement:
        lexemes = self._lexemes
        selects = lexemes.texts[position] == "select"
        opened = self._brace(position, end)
        closed = lexemes.closing[opened]
        init, tag, typed = self._header(position + 1, opened)
        clauses: list[Clause] = []
        literals = self._literals(*tag) if tag is not None else ()
        at = opened + 1
        while at < closed:
            if lexemes.texts[at] not in ("case", "default"):
                raise _Broken
            colon = next((i for i in lexemes.iter_level(at + 1, closed) if lexemes.texts[i] == ":"), None)
            if colon is None:
                raise _Broken
            comm = self._statement(at + 1, colon) if selects and colon > at + 1 else None
            if comm is None:
                literals += self._literals(at + 1, colon)
            body, following = self._list(colon + 1, closed)
            last = body[-1].end_line if body else lexemes.lines[colon]
            is_default = lexemes.texts[at] == "default"
            clauses.append(Clause(at, lexemes.lines[at], last, (at + 1, colon), comm, body, is_default))
            at = following
        kind = Kind.SELECT if selects else Kind.TYPE_SWITCH if typed else Kind.SWITCH
        targets: tuple[Range, ...] = ()
        if typed and tag is not None and lexemes.text(tag[0] + 1) == ":=":
            targets = ((tag[0], tag[0] + 1),)
        return self._make(
            kind,
            position,
            closed + 1,
            init=init,
            condition=tag,
            targets=targets,
            clauses=tuple(clauses),
            literals=literals,
        )

    def _header(self, start: int, opened: int) -> tuple[Statement | None, Range | None, bool]:
        """`init; condition` of an if or a switch, and whether it is a type switch."""
        parts = self._lexemes.split(start, opened, ";")
        if not parts:
            return None, None, False
        if len(parts) > 2:
            raise _Broken
        init = self._optional(parts[0]) if len(parts) == 2 else None
        first, last = parts[-1]
        texts = self._lexemes.texts
        typed = last - first >= 4 and texts[last - 4 : last] == [".", "(", "type", ")"]
        return init, (first, last) if first < last else None, typed

    def _optional(self, part: Range) -> Statement | None:
        return self._simple(*part) if part[0] < part[1] else None

    def _declaration(self, position: int, stop: int) -> Statement:
        """A `var a, b T = x, y`; the names of a group are all targets, its values all values."""
        lexemes = self._lexemes
        targets: list[Range] = []
        values: list[Range] = []
        keyword = lexemes.texts[position]
        if keyword in ("var", "const"):
            specs: tuple[Range, ...] = ((position + 1, stop),)
            if lexemes.text(position + 1) == "(" and lexemes.closing.get(position + 1) == stop - 1:
                specs = lexemes.split(position + 2, stop - 1, ";")
            for first, last in specs:
                equals = next((i for i in lexemes.iter_level(first, last) if lexemes.texts[i] == "="), last)
                at = first
                while at < equals and lexemes.is_name(at):
                    targets.append((at, at + 1))
                    if lexemes.text(at + 1) != ",":
                        break
                    at += 2
                values += lexemes.split(equals + 1, last)
        return self._make(
            Kind.DECLARATION,
            position,
            stop,
            operator=keyword,
            targets=tuple(targets),
            values=tuple(values),
            literals=self._literals(position, stop),
        )

    def _simple(self, position: int, stop: int) -> Statement:
        lexemes = self._lexemes
        literals = self._literals(position, stop)
        send: int | None = None
        for at in lexemes.iter_level(position, stop):
            text = lexemes.texts[at]
            if text in _ASSIGNMENTS:
                return self._make(
                    Kind.ASSIGN,
                    position,
                    stop,
                    operator=text,
                    targets=lexemes.split(position, at),
                    values=lexemes.split(at + 1, stop),
                    literals=literals,
                )
            if text in ("++", "--"):
                return self._make(Kind.INCREMENT, position, stop, operator=text, targets=((position, at),))
            if text == "<-" and send is None and at > position and lexemes.ends_operand(at - 1):
                send = at
            if text == "func":
                break  # what follows is its signature
        if send is not None:
            targets, values = ((position, send),), ((send + 1, stop),)
            return self._make(Kind.SEND, position, stop, targets=targets, values=values, literals=literals)
        return self._make(Kind.EXPRESSION, position, stop, values=((position, stop),), literals=literals)

    # -- expressions ---------------------------------------------------------------------------------

    def _literals(self, start: int, end: int) -> tuple[Literal, ...]:
        lexemes = self._lexemes
        found: list[Literal] = []
        position = start
        while position < end:
            if lexemes.texts[position] == "func" and lexemes.text(position + 1) == "(":
                literal = self._literal(position)
                if literal is not None:
                    found.append(literal)
                    position = literal.end
                    continue
                # A type; its results may be functions, too.
                position = find_type_end(lexemes, position) or position + 1
                continue
            position += 1
        return tuple(found)

    def _literal(self, position: int) -> Literal | None:
        lexemes = self._lexemes
        # After a bracket it is an element type, and what follows in braces are elements: `[]func(){f, g}`.
        if lexemes.text(position - 1) in _TYPE_ENDS:
            return None
        closed = lexemes.closing.get(position + 1)
        if closed is None:
            raise _Broken
        opened = find_result_end(lexemes, closed + 1)
        if lexemes.text(opened) != "{" or opened not in lexemes.closing:
            return None
        end = lexemes.closing[opened]
        results = self._unwrapped(closed + 1, opened)
        lines = lexemes.lines
        body = self._block(opened)
        return Literal(position, end + 1, lines[position], lines[end], (position + 2, closed), results, body)

    def _simple_end(self, position: int, end: int) -> int:
        texts = self._lexemes.texts
        return next((at for at in self._lexemes.iter_level(position, end) if texts[at] == ";"), end)

    def _brace(self, position: int, end: int) -> int:
        opened = find_block(self._lexemes, position + 1, end)
        if opened is None or opened not in self._lexemes.closing:
            raise _Broken
        return opened

    def _closing(self, position: int, end: int) -> int:
        closed = self._lexemes.closing.get(position)
        if closed is None or closed >= end:
            raise _Broken
        return closed

    def _make(self, kind: Kind, start: int, end: int, **parts: object) -> Statement:
        lexemes = self._lexemes
        line = lexemes.lines[min(start, len(lexemes) - 1)]
        end_line = lexemes.end_line(end - 1) if end > start else line
        return Statement(kind, start, end, line, end_line, **parts)  # type: ignore[arg-type]
