"""What keeps objects alive, in a sentence: the way from an object to the variable or frame that holds it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from leaktui.analysis import http_frames
from leaktui.model.finding import Evidence
from leaktui.model.frame import Frame
from leaktui.model.holder import Holder, HolderKind, HolderSearch
from leaktui.text import printable, short_function

_STEPS_TOLD = 4
_NAME_LENGTH = 120

_PLUMBING = re.compile(
    r"\bhttp2?\.(?:persistConn|Transport\b|http2|[cC]lientConn|[cC]lientStream|transportResponseBody)"
)
_LOOPS = (http_frames.READ_LOOP, http_frames.WRITE_LOOP)


def holder_evidence(searches: Iterable[HolderSearch]) -> list[Evidence]:
    """One sentence for each root that *searches* ended at, the commonest first."""
    ended = [search for search in searches if search.path]
    by_root: dict[str, list[HolderSearch]] = {}
    for search in ended:
        by_root.setdefault(describe_root(search.path[-1]), []).append(search)
    found = []
    for root, same in sorted(by_root.items(), key=lambda item: -len(item[1])):
        first = same[0]
        name = f" ({printable(first.type_name, _NAME_LENGTH)})" if first.type_name else ""
        share = f"{len(same)} of {len(ended)} of these objects that were looked at"
        steps = _steps(first)
        through = f", in {' → '.join(steps)}" if steps else ""
        found.append(Evidence("memory", f"{share}{name} are kept by {root}{through}"))
    return found


def is_kept(search: HolderSearch) -> bool:
    """Whether the program itself has a body in hand: a variable, frame or deferred call leads to it.

    The client's own connections and streams hold what they wait for, and keep it for nobody.
    """
    if not search.path or search.path[-1].kind is HolderKind.RUNTIME:
        return False
    return not any(
        _PLUMBING.search(holder.type_name)
        or (
            holder.frame is not None
            and (http_frames.is_client_frame(holder.frame.function) or holder.frame.function in _LOOPS)
        )
        for holder in search.path
    )


def root_frames(searches: Iterable[HolderSearch]) -> tuple[Frame, ...]:
    """The frames of goroutines that *searches* ended at."""
    frames = [search.path[-1].frame for search in searches if search.path]
    return tuple(dict.fromkeys(frame for frame in frames if frame is not None))


def describe_root(holder: Holder) -> str:
    """The variable, frame or runtime list at the end of a path."""
    if holder.kind is HolderKind.FRAME and holder.frame is not None:
        file = printable(holder.frame.file.rpartition("/")[2], _NAME_LENGTH)
        where = f"{short_function(holder.frame.function)} ({file}:{holder.frame.line})"
        return f"{where} of goroutine {holder.goid}" if holder.goid is not None else where
    name = printable(holder.name, _NAME_LENGTH) or f"{holder.address:#x}"
    return f"the variable {name}" if holder.kind is HolderKind.GLOBAL and " " not in name else name


def _steps(search: HolderSearch) -> list[str]:
    """The objects between the root and what it keeps, from the root on, as far as their types are known."""
    # What a map is made of inside has its part in brackets after the type.
    named = [
        holder
        for holder in reversed(search.path[:-1])
        if holder.type_name and not holder.type_name.endswith(")")
    ]
    return [printable(f"{holder.type_name}{holder.field}", _NAME_LENGTH) for holder in named[:_STEPS_TOLD]]
