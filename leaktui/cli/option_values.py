"""What the text of an option means: pids, times, rates, lists of words.

Law: each takes the text and returns the value, or raises argparse.ArgumentTypeError with what would be right.
"""

from __future__ import annotations

import argparse
import math

from leaktui.text import printable

LONGEST_WATCH_SECONDS = 24 * 3600.0
_ALLOWABLE = ("pause", "breakpoints")
_OPTIONAL_SOURCES = frozenset(("memory", "probes", "pprof", "delve"))


def parse_sources(text: str) -> frozenset[str]:
    """The sources that *text* names, separated by commas."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(names - _OPTIONAL_SOURCES)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{printable(unknown[0], 40)!r} is no source that can be left out; "
            "those are memory, probes, pprof and delve"
        )
    return names


def parse_pid(text: str) -> int:
    """A process id. Raises argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) < 1 << 22:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a process id (`leaktui ps` lists those of Go processes)"
        )
    return int(text)


def parse_seconds(text: str) -> float:
    """A length of time in seconds. Raises argparse.ArgumentTypeError."""
    return _parse_number(text, "a number of seconds", LONGEST_WATCH_SECONDS)


def parse_pace(text: str) -> float:
    """How many times as fast as usual. Raises argparse.ArgumentTypeError."""
    return _parse_number(text, "a pace", 10.0)


def parse_rate(text: str) -> float:
    """Leaks a second. Raises argparse.ArgumentTypeError."""
    return _parse_number(text, "a number of leaks a second", 1000.0)


def parse_hits(text: str) -> int:
    """A budget of hits. Raises argparse.ArgumentTypeError."""
    return _parse_whole(text, "a number of hits", 100_000)


def parse_depth(text: str) -> int:
    """Frames of a stack. Raises argparse.ArgumentTypeError."""
    return _parse_whole(text, "a number of frames", 100)


def _parse_whole(text: str, what: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} from 1 to {most}")
    return int(text)


def _parse_number(text: str, what: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} above 0 and up to {most:.0f}")
    return number


def parse_allowed(text: str) -> frozenset[str]:
    """`pause`, `breakpoints` (a comma-separated list). Raises argparse.ArgumentTypeError."""
    words = frozenset(word.strip() for word in text.split(","))
    unknown = sorted(words - set(_ALLOWABLE))
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{unknown[0]!r} is nothing to allow (choose from {', '.join(_ALLOWABLE)})"
        )
    return words


def parse_root(text: str) -> str:
    """`FROM=TO`, checked here and taken apart where it is used. Raises argparse.ArgumentTypeError."""
    if not text.partition("=")[2]:
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM=TO")
    return text
