"""Options that several commands share, a function a group."""

from __future__ import annotations

import argparse

from leaktui.cli.option_values import parse_allowed, parse_pace, parse_pid, parse_root, parse_sources


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Which process, and which sources are left alone."""
    group = parser.add_argument_group("the process")
    group.add_argument("--pid", type=parse_pid, metavar="N", help="the process to look at")
    group.add_argument(
        "--url",
        metavar="URL",
        help="its pprof pages, where they are not found by themselves or not on this machine",
    )
    group.add_argument(
        "--dlv",
        metavar="ADDR",
        help="somebody else's headless Delve on it (host:port or unix:PATH); it is only looked at",
    )
    group.add_argument(
        "--exec",
        metavar="FILE",
        dest="exec_program",
        help="start this program, with the arguments after --, and look at it; it ends with leaktui",
    )
    group.add_argument(
        "--insecure", action="store_true", help="accept any TLS certificate of the pprof endpoint"
    )
    group.add_argument(
        "--without",
        type=parse_sources,
        default=frozenset(),
        metavar="SOURCES",
        help="sources to leave alone, separated by commas: memory, probes, pprof, delve",
    )
    add_credentials_options(parser)


def add_capture_options(parser: argparse.ArgumentParser) -> None:
    """A recording in the place of a process."""
    parser.add_argument(
        "--open", dest="capture", metavar="FILE", help="look at this recording instead of a process"
    )


def add_credentials_options(
    parser: argparse.ArgumentParser,
    title: str = "pprof behind a password",
    whom: str = "for pprof",
    token: str = "pprof's bearer token",
) -> None:
    """Who one is to an endpoint behind a password; *title*, *whom* and *token* say which."""
    group = parser.add_argument_group(title)
    group.add_argument(
        "--user", metavar="NAME", help=f"basic authentication {whom}; the password is asked for"
    )
    group.add_argument("--token-env", metavar="VAR", help=f"the environment variable with {token}")


def add_consent_options(parser: argparse.ArgumentParser) -> None:
    """What may be done to the process."""
    group = parser.add_argument_group("consent")
    group.add_argument(
        "--allow",
        type=parse_allowed,
        metavar="WHAT",
        help="pause: may stop the target for fractions of a second (full dumps of many goroutines, forced GC, Delve); "
        "breakpoints: may set tracepoints in it (Delve); separated by commas",
    )
    group.add_argument(
        "--read-only", action="store_true", help="only look: no probes in it, and never ask for more"
    )


def add_source_roots_options(parser: argparse.ArgumentParser) -> None:
    """Where source lies that was built elsewhere."""
    parser.add_argument(
        "--source-root",
        type=parse_root,
        action="append",
        metavar="FROM=TO",
        dest="source_roots",
        help="source built in FROM is read from TO here; may be repeated",
    )


def add_screen_options(parser: argparse.ArgumentParser) -> None:
    """How the screens look."""
    group = parser.add_argument_group("the screen")
    group.add_argument(
        "--lean", action="store_true", help="for slow links: plain colours, slow ticks, no animation"
    )
    group.add_argument("--no-color", action="store_true", help="no colours (as NO_COLOR)")
    group.add_argument(
        "--pace",
        type=parse_pace,
        default=1.0,
        metavar="N",
        help="how fast the walkthrough goes by itself: 2 leaves half the time to read",
    )
