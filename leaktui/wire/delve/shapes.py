"""Fields of Delve's JSON, taken with the type they should have.

Law: a missing field is the zero value, as Go's encoder leaves it out; one of another type raises DecodeError.
"""

from __future__ import annotations

from typing import Any

from leaktui.errors import DecodeError


def as_object(value: Any, what: str) -> dict[str, Any]:
    """*value* as an object. Raises DecodeError."""
    if not isinstance(value, dict):
        raise DecodeError(f"Delve's {what} is no object")
    return value


def take_object(holder: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The object called *name*, None where there is none. Raises DecodeError."""
    value = holder.get(name)
    return None if value is None else as_object(value, name)


def take_objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in the array called *name*. Raises DecodeError."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise DecodeError(f"Delve's {name} is no array")
    return [as_object(item, name) for item in value]


def take_number(holder: dict[str, Any], name: str) -> int:
    """The integer called *name*. Raises DecodeError."""
    value = holder.get(name, 0)
    if type(value) is not int:
        raise DecodeError(f"Delve's {name} is no integer")
    return value


def take_text(holder: dict[str, Any], name: str) -> str:
    """The string called *name*. Raises DecodeError."""
    value = holder.get(name, "")
    if not isinstance(value, str):
        raise DecodeError(f"Delve's {name} is no string")
    return value


def take_flag(holder: dict[str, Any], name: str) -> bool:
    """The truth value called *name*. Raises DecodeError."""
    value = holder.get(name, False)
    if not isinstance(value, bool):
        raise DecodeError(f"Delve's {name} is neither true nor false")
    return value
