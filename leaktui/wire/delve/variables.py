"""A value as Delve loaded it → Variable.

Law: what was not loaded is never shown as empty: it is unreadable, or has a length that is more than its children.
(service/api/types.go `Variable`; `kind` is reflect.Kind.)
"""

from __future__ import annotations

from typing import Any

from leaktui.errors import DecodeError
from leaktui.model.inspection import Variable
from leaktui.wire.delve.shapes import take_number, take_objects, take_text

_ARRAY, _CHAN, _FUNC, _INTERFACE, _MAP, _POINTER, _SLICE, _STRING, _STRUCT, _UNSAFE_POINTER = (
    17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
)  # fmt: skip
_COUNTED = frozenset((_ARRAY, _CHAN, _MAP, _SLICE, _STRING))
_FAKE_ADDRESS = 1 << 5
_MOST_DEPTH = 40


def decode_variable(item: dict[str, Any], *, depth: int = 0) -> Variable:
    """Raises DecodeError."""
    if depth > _MOST_DEPTH:
        raise DecodeError("a value of Delve's is nested too deep")
    kind = take_number(item, "kind")
    address = take_number(item, "addr")
    unreadable = explain_unreadable(take_text(item, "unreadable"))
    children = take_objects(item, "children")
    value = take_text(item, "value")
    if take_number(item, "flags") & _FAKE_ADDRESS:
        address = 0
    length = take_number(item, "len") if kind in _COUNTED and not unreadable else None
    name = take_text(item, "name")
    if kind in (_POINTER, _INTERFACE) and not unreadable:
        value, children = _pointed(kind, value, children, item)
    elif kind == _FUNC and not unreadable:
        value = value or "nil"
    elif kind in (_CHAN, _MAP, _SLICE) and not unreadable and not take_number(item, "base") and not length:
        value = "nil"
    if kind == _MAP:
        decoded = _pairs(children, depth)
    else:
        decoded = tuple(decode_variable(child, depth=depth + 1) for child in children)
        if kind in (_ARRAY, _SLICE):
            decoded = tuple(_named(child, f"[{index}]") for index, child in enumerate(decoded))
    return Variable(
        name=name,
        type_name=take_text(item, "type") or take_text(item, "realType"),
        value=value,
        children=decoded,
        length=length,
        address=address,
        unreadable=unreadable,
    )


def explain_unreadable(reason: str) -> str:
    """Delve's reason why there is no value, where it is one of an optimised program, in words for people."""
    if reason.startswith("could not find loclist entry"):
        return "the compiler keeps it nowhere at this place"
    if reason.startswith("empty OP stack"):
        return "it has no place yet"
    if reason.startswith("unknown or unsupported kind"):
        return "of no kind that can be shown"
    return reason


def _pointed(
    kind: int, value: str, children: list[dict[str, Any]], item: dict[str, Any]
) -> tuple[str, list[dict[str, Any]]]:
    """What to show of a pointer or interface itself, and what is behind it, where that was loaded."""
    behind = children[0] if children else None
    if behind is None or (kind == _POINTER and take_number(behind, "addr") == 0):
        return "nil", []
    if kind == _INTERFACE and take_number(behind, "kind") == 0 and take_number(behind, "addr") == 0:
        return "nil", []
    if behind.get("onlyAddr"):
        return f"{take_number(behind, 'addr'):#x}", []
    if kind == _POINTER:
        return f"{take_number(behind, 'addr'):#x}", children
    return value, children


def _pairs(children: list[dict[str, Any]], depth: int) -> tuple[Variable, ...]:
    """A map's keys and values come by turns: each value under its key."""
    pairs = []
    for key, value in zip(children[::2], children[1::2], strict=False):
        label = format_value(decode_variable(key, depth=depth + 1))
        pairs.append(_named(decode_variable(value, depth=depth + 1), f"[{label}]"))
    return tuple(pairs)


def _named(variable: Variable, name: str) -> Variable:
    return Variable(
        name,
        variable.type_name,
        variable.value,
        variable.children,
        variable.length,
        variable.address,
        variable.unreadable,
    )


def format_value(variable: Variable, *, limit: int = 200, depth: int = 3) -> str:
    """*variable* on one line, as raw as its parts are, at most about *limit* characters."""
    text = _format(variable, depth)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _format(variable: Variable, depth: int) -> str:
    if variable.unreadable:
        return f"({variable.unreadable})"
    if not variable.children:
        if variable.value:
            return f'"{variable.value}"' if _is_string(variable) else variable.value
        if _is_string(variable):
            return '""'
        if variable.length:
            return f"{variable.type_name} of {variable.length}"
        return f"{variable.type_name} {{}}"
    if depth <= 0:
        return variable.value or f"{variable.type_name} {{…}}"
    if variable.type_name.startswith("*") and len(variable.children) == 1:
        return f"&{_format(variable.children[0], depth - 1)}"
    if len(variable.children) == 1 and variable.children[0].name == "data" and variable.length is None:
        return _format(variable.children[0], depth)  # an interface's
    parts = [_format_child(child, depth - 1) for child in variable.children[:8]]
    more = ", …" if len(variable.children) > len(parts) or (variable.length or 0) > len(parts) else ""
    if len(parts) == 1 and variable.length is None and not variable.children[0].name:
        return parts[0]
    return f"{{{', '.join(parts)}{more}}}"


def _format_child(child: Variable, depth: int) -> str:
    """With its name, but for the elements of a slice."""
    text = _format(child, depth)
    if not child.name or (child.name.startswith("[") and child.name[1:-1].isdigit()):
        return text
    return f"{child.name}: {text}"


def _is_string(variable: Variable) -> bool:
    return variable.length is not None and (
        variable.type_name == "string" or (bool(variable.value) and variable.value != "nil")
    )
