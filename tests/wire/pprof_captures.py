"""The recorded bytes of tests/captures/pprof (see tests/captures/make/record.py)."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from leaktui.model.frame import Stack

CAPTURES = Path(__file__).parent.parent / "captures" / "pprof"
RELEASES = tuple(sorted(path.name for path in CAPTURES.iterdir()))
LEAK_RELEASES = tuple(release for release in RELEASES if release in ("go1.26", "go1.27"))

Lines = tuple[tuple[str, str, int], ...]
"""A stack as (function, file, line)."""


def compressed(release: str, name: str) -> bytes:
    """The file as recorded: what the endpoint answers for profiles in protobuf form."""
    return (CAPTURES / release / f"{name}.gz").read_bytes()


def content(release: str, name: str) -> bytes:
    """The file's content: a text, or a bare profile.proto."""
    return gzip.decompress(compressed(release, name))


def lines_of(stack: Stack) -> Lines:
    return tuple((frame.function, frame.file, frame.line) for frame in stack)


def comparable(counts: Iterable[tuple[Lines, int]]) -> Counter[Lines]:
    """Counts by stack, without those that cannot agree between two recordings of one program: the
    goroutine that records, and recursions deeper than Go records (32 frames in a profile of Go 1.22, 128
    later; 100 in a dump).
    """
    kept: Counter[Lines] = Counter()
    for lines, count in counts:
        records = lines[-1][0] == "main.main"
        too_deep = len(lines) > 20 and any(function == "main.recurse" for function, _, _ in lines)
        if not records and not too_deep:
            kept[lines] += count
    return kept
