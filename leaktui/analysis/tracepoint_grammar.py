"""What the user says is to be traced, made into a plan.

Law: what cannot be meant is refused here, before anything touches the target; whether a function exists and what
an expression means there, only the debugger can say.

    FUNCTION                        runtime.gcStart
    FUNCTION:CONDITION              runtime.mallocgc:size>=32K
    'FUNCTION:CONDITION'            'net/http.(*Transport).RoundTrip:req.URL.Host=="example.com" && req.Body!=nil'

FUNCTION is the symbol as Go prints it in a stack. CONDITION is a Go expression over its arguments; numbers may end in
K, M or G (powers of 1024).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from leaktui.errors import UsageError
from leaktui.model.tracepoint import Tracepoint
from leaktui.text import printable

MOST_TRACEPOINTS = 16
"""Each is a breakpoint in the target, one at every return of a function whose returns are recorded."""

_LONGEST = 1000
_OPENING, _CLOSING = "([{", ")]}"
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|`[^`]*`|'(?:[^'\\]|\\.)*'")
_SIZED = re.compile(r"(?<![\w.])(\d+)([KMG])(?:i?B)?\b", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?<![=!<>])=(?!=)")
_FUNCTION = re.compile(r"(?:[\w.%~+-]+/)*[\w%~+-]+\.[^\s/:\"'`].*")
_POWERS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_tracepoint(text: str, *, expressions: Sequence[str] = (), returns: bool = False) -> Tracepoint:
    """`FUNCTION[:CONDITION]`; *expressions* are recorded with each hit. Raises UsageError."""
    if len(text) > _LONGEST:
        raise UsageError(
            f"a tracepoint has at most {_LONGEST} characters", remedy="make its condition shorter"
        )
    function, condition = _split(text.strip())
    return Tracepoint(
        validate_function(function),
        parse_expression(condition, condition=True) if condition else "",
        tuple(parse_expression(item) for item in expressions),
        returns,
    )


def _split(text: str) -> tuple[str, str]:
    """The function and the condition: at the first colon outside of brackets."""
    depth = 0
    for index, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == ":" and depth <= 0:
            condition = text[index + 1 :].strip()
            if not condition:
                raise UsageError(
                    f"{printable(text, 80)!r} ends where its condition should be",
                    remedy="write it after the colon, or leave the colon out",
                )
            return text[:index].strip(), condition
    return text, ""


def validate_function(text: str) -> str:
    """*text* as a Go symbol. Raises UsageError."""
    shown = printable(text, 80)
    unusual = not text.isprintable() or not _is_balanced(text)
    if unusual or not _FUNCTION.fullmatch(text) or re.search(r"\s", _outside_brackets(text)):
        raise UsageError(
            f"{shown!r} is no Go function",
            remedy="write it as a stack shows it, package first: runtime.gcStart, 'main.(*Server).load'",
        )
    return text


def parse_expression(text: str, *, condition: bool = False) -> str:
    """A Go expression with its sizes (`32K`) spelt out. Raises UsageError."""
    text = text.strip()
    shown = printable(text, 80)
    if not text or len(text) > _LONGEST:
        raise UsageError(
            "an expression is missing, or too long", remedy="write a Go expression: req.URL.Host"
        )
    if not text.isprintable():
        raise UsageError(f"{shown!r} holds control characters", remedy="write a Go expression: size >= 32768")
    bare = _STRING.sub('""', text)
    if '"' in bare.replace('""', "") or "`" in bare:
        raise UsageError(f"a quote of {shown!r} is never closed", remedy="put the whole in single quotes")
    if not _is_balanced(bare):
        raise UsageError(
            f"a bracket of {shown!r} is not paired", remedy="write a Go expression: size >= 32768"
        )
    if re.match(r"call\b", bare):
        # It would run the target's own code in the middle of whatever it does.
        raise UsageError("functions of the target are never called", remedy="leave `call` out")
    if condition and _ASSIGNMENT.search(bare):
        raise UsageError(f"{shown!r} assigns and does not compare", remedy="write == to compare")
    return _spell_sizes(text)


def _spell_sizes(text: str) -> str:
    """`size >= 32K` → `size >= 32768`, but for what stands in quotes."""
    pieces, end = [], 0
    for quoted in _STRING.finditer(text):
        pieces += [_SIZED.sub(_spelt, text[end : quoted.start()]), quoted.group()]
        end = quoted.end()
    return "".join((*pieces, _SIZED.sub(_spelt, text[end:])))


def _spelt(match: re.Match[str]) -> str:
    return str(int(match[1]) * _POWERS[match[2].upper()])


def parse_size(text: str) -> int:
    """`32K`, `1M` or a number of bytes. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,12})(?:([KMG])(?:i?B)?)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"{printable(text, 40)!r} is no size", remedy="write 32K, 1M or a number of bytes")
    return int(match[1]) * (_POWERS[match[2].upper()] if match[2] else 1)


def _is_balanced(text: str) -> bool:
    open_ones: list[str] = []
    for character in text:
        if character in _OPENING:
            open_ones.append(character)
        elif character in _CLOSING and (
            not open_ones or _OPENING.index(open_ones.pop()) != _CLOSING.index(character)
        ):
            return False
    return not open_ones


def _outside_brackets(text: str) -> str:
    depth, kept = 0, []
    for character in text:
        depth += character in _OPENING
        if depth == 0:
            kept.append(character)
        depth -= character in _CLOSING
    return "".join(kept)


def format_tracepoint(tracepoint: Tracepoint) -> str:
    """It as the user would write it, safe to print."""
    condition = f":{tracepoint.condition}" if tracepoint.condition else ""
    return printable(tracepoint.function + condition, 300) + (" returns" if tracepoint.returns else "")
