"""Where a type ends: enough of Go's type grammar to tell a composite literal from a block (Go spec: "Types")."""

from __future__ import annotations

from leaktui.analysis.go_syntax.lexemes import Lexemes

_DEPTH_LIMIT = 60


def find_type_end(lexemes: Lexemes, position: int, depth: int = 0) -> int | None:
    """The position after the type at *position*; None where there is none."""
    if depth > _DEPTH_LIMIT:
        return None
    text = lexemes.text(position)
    if text in ("*", "<-", "...", "~"):
        return find_type_end(lexemes, position + 1, depth + 1)
    if text == "chan":
        return find_type_end(lexemes, position + (2 if lexemes.text(position + 1) == "<-" else 1), depth + 1)
    if text == "(":
        end = lexemes.closing.get(position)
        return None if end is None else end + 1
    if text == "[":
        end = lexemes.closing.get(position)
        return None if end is None else find_type_end(lexemes, end + 1, depth + 1)
    if text == "map":
        end = lexemes.closing.get(position + 1)
        return None if end is None else find_type_end(lexemes, end + 1, depth + 1)
    if text in ("interface", "struct"):
        end = lexemes.closing.get(position + 1)
        return None if end is None else end + 1
    if text == "func":
        end = lexemes.closing.get(position + 1)
        return None if end is None else find_result_end(lexemes, end + 1, depth + 1)
    if not lexemes.is_name(position):
        return None
    position += 1
    if lexemes.text(position) == "." and lexemes.is_name(position + 1):
        position += 2
    if lexemes.text(position) == "[":
        end = lexemes.closing.get(position)
        return None if end is None else end + 1
    return position


def find_result_end(lexemes: Lexemes, position: int, depth: int = 0) -> int:
    """The position after a signature's result at *position*; *position* itself where it has none."""
    if lexemes.text(position) == "{":
        return position
    end = find_type_end(lexemes, position, depth)
    return position if end is None else end


def find_block(lexemes: Lexemes, position: int, limit: int) -> int | None:
    """The `{` that opens the block of an if, for, switch or select whose header begins at *position*.

    A composite literal there has parentheses around it or a literal type before it (Go spec: "Composite literals").
    """
    while position < limit:
        text = lexemes.text(position)
        if text == "{":
            return position
        if text == "func":
            closed = lexemes.closing.get(position + 1)
            if closed is None:
                return None
            position = find_result_end(lexemes, closed + 1)
            if lexemes.text(position) == "{":
                position = lexemes.closing.get(position, limit) + 1
        elif text in ("struct", "interface", "map", "chan") or (
            text == "[" and not lexemes.ends_operand(position - 1)
        ):
            end = find_type_end(lexemes, position)
            if end is None:
                return None
            position = end
            if lexemes.text(position) == "{":  # its elements
                position = lexemes.closing.get(position, limit) + 1
        elif text in ("(", "["):
            position = lexemes.closing.get(position, limit) + 1
        else:
            position += 1
    return None
