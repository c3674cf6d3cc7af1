"""Where the source of the target is looked for, as the options say."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from leaktui.sources import Sources, parse_source_root

if TYPE_CHECKING:
    from leaktui.engines.replay import Tape


def find_sources(options: argparse.Namespace, tape: Tape | None = None) -> Sources:
    """The files below the roots of *options* and here; what *tape* holds goes before them."""
    roots = tuple(parse_source_root(text) for text in getattr(options, "source_roots", None) or ())
    if tape is None:
        return Sources(roots)
    return Sources(roots, kept=tape.source_of, explained=tape.explanation_of)
