"""What is masked on the way into a capture.

Law: every string that a target could have chosen passes here, but for symbols and paths. What a string is, its field
says; what is secret in it, the one who hides it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Protocol

from leaktui.model.inspection import Evaluation, Variable

HIDDEN = "…"

_SECRET_NAME = re.compile(
    r"authorization|cookie|passw(?:or)?d|secret|token|api[_-]?key|x-auth|credential", re.I
)


class Mask(Protocol):
    """Hides the secrets in a text; `report.redaction.Redaction` is one."""

    def text(self, text: str, limit: int = 4096) -> str: ...

    def url(self, url: str) -> str: ...


class NoMask:
    """Everything stays as it is."""

    def text(self, text: str, limit: int = 4096) -> str:
        return text

    def url(self, url: str) -> str:
        return url


def names_a_secret(name: str) -> bool:
    """Whether what goes by *name* (a header, a field, a label) had better not be seen."""
    return bool(_SECRET_NAME.search(name))


def hide_pairs(value: Any) -> Any:
    """*value*, a dataclass or a (name, text) pair, with the text of a secret name hidden."""
    if isinstance(value, Variable):
        return _hide_variable(value)
    if isinstance(value, Evaluation) and value.value is not None and names_a_secret(value.expression):
        return replace(value, value=_without_values(value.value))
    if isinstance(value, tuple) and len(value) == 2:
        name, text = value
        if isinstance(name, str) and isinstance(text, str) and text and names_a_secret(name):
            return (name, HIDDEN)
    return value


def _hide_variable(variable: Variable) -> Variable:
    """A map loads as keys and values in turn: the value after a secret key goes, too."""
    if names_a_secret(variable.name):
        return _without_values(variable)
    children = []
    hides = False
    for child in variable.children:
        children.append(_without_values(child) if hides else child)
        hides = not hides and not child.children and names_a_secret(child.value)
    if tuple(children) == variable.children:
        return variable
    return replace(variable, children=tuple(children))


def _without_values(variable: Variable) -> Variable:
    return replace(
        variable,
        value=HIDDEN if variable.value else "",
        children=tuple(_without_values(child) for child in variable.children),
    )
