"""The arguments: what there is, what it means, what is nonsense.

Law: imports nothing heavy: `--help` and `--version` answer at once. A wrong argument is one line on stderr
that says what would be right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from leaktui import __version__
from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.option_groups import (
    add_capture_options,
    add_consent_options,
    add_credentials_options,
    add_screen_options,
    add_source_roots_options,
    add_target_options,
)
from leaktui.cli.option_values import parse_depth, parse_hits, parse_pid, parse_rate, parse_seconds
from leaktui.cli.output import say
from leaktui.text import printable

_LEAKS = ("body", "goroutine", "fd", "heap", "none")

_EXAMPLES = """\
examples:
  leaktui                              pick a Go process and look at it
  leaktui --pid 4242                   look at one
  leaktui diagnose --pid 4242 --json   no screen: the verdict, for a script
  leaktui guide --pid 4242             the same, step by step, with why and how by hand
  leaktui doctor --pid 4242            what can be seen of it, and what it takes to see more
  leaktui spans traces.json            requests whose spans never close their response body
  leaktui record --pid 4242 -o FILE    keep all that is seen of it; `leaktui open FILE` shows it anywhere
  leaktui verify --baseline FILE --pid 4243   is it fixed?
  leaktui trace --pid 4242 --preset gc  who allocates, collects, opens and closes, call by call; asks first
  leaktui demo                         a service that leaks, to try it on

exit status: 0 clean (or all went well), 1 a leak, 2 cannot inspect, 3 undecided
"""

_PPROF_NOTES = """\
pprof behind a password: --user asks for it, or takes LEAKTUI_PPROF_PASSWORD; a bearer token is read from
the variable that --token-env names. Neither is ever given on the command line, where `ps` would show it.
"""


_TRACE_EXAMPLES = """\
examples:
  leaktui trace --pid 4242 --preset alloc --preset gc
  leaktui trace --pid 4242 'runtime.mallocgc:size>=1M' runtime.gcStart --hits 200
  leaktui trace --pid 4242 'net/http.(*bodyEOFSignal).Close' --by function
  leaktui trace --pid 4242 'net/http.(*Transport).RoundTrip:req.URL.Host=="example.com" && req.Body!=nil'
  leaktui trace --pid 4242 --preset bodies --seconds 10     who opens bodies, and who leaves them open

presets:
  alloc[=32K]       runtime.mallocgc of so many bytes and more
  gc                runtime.gcStart
  close             net/http.(*bodyEOFSignal).Close
  roundtrip[=HOST]  net/http.(*Transport).RoundTrip, with method, host and path
  bodies            responses as they are returned and their Close, paired: opened, closed, left open by owner

what it costs: attaching stops the target once for 0.3 to 1.3 s, each hit for about 1 to 4 ms, also one for
which the condition does not hold. A tracepoint on what is called all the time (mallocgc) all but stops the
target until the budget is spent. However leaktui ends, everything is taken out in order; but killing dlv
itself (kill -9) while tracepoints are set kills the target.
It asks first. Where nobody can be asked it needs --allow pause,breakpoints; --read-only forbids it.

Ctrl-C ends the burst in order and prints what there is.
exit status: 0 recorded, 2 could not be
"""


class _Parser(argparse.ArgumentParser):
    """One line for an error, instead of the usage and then the error."""

    def error(self, message: str) -> NoReturn:
        say(f"{printable(message)}: see `{self.prog} --help`")
        raise SystemExit(ExitStatus.CANNOT_INSPECT)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line, `command` None for the screens; exits on --help and on errors."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    options = build_parser().parse_args(given[:end])
    options.exec_arguments = given[end + 1 :]
    if end < len(given) and getattr(options, "exec_program", None) is None:
        build_parser().error(
            "-- begins the arguments of a program that --exec starts, and there is no --exec"
        )
    return options


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar."""
    parser = _Parser(
        prog="leaktui",
        # An abbreviation would let `--token SECRET` pass for `--token-env SECRET`.
        allow_abbrev=False,
        description="Finds the line that leaks in a running Go process, without stopping it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"leaktui {__version__}")
    add_target_options(parser)
    add_capture_options(parser)
    add_consent_options(parser)
    add_source_roots_options(parser)
    add_screen_options(parser)
    parser.add_argument(
        "--walkthrough",
        action="store_true",
        default=False,
        help="begin with the guided walkthrough (the key w)",
    )
    parser.set_defaults(command=None)
    # Only the options of a command that were given override those that stood before it.
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_diagnose(commands)
    _add_guide(commands)
    _add_doctor(commands)
    _add_ps(commands)
    _add_spans(commands)
    _add_record(commands)
    _add_open(commands)
    _add_verify(commands)
    _add_demo(commands)
    _add_trace(commands)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[_Parser], name: str, summary: str, epilog: str = ""
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(command=name)
    return parser


def _add_diagnose(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands,
        "diagnose",
        "watch a process until it is clear whether it leaks, and say which line",
        "exit status: 0 clean, 1 a leak, 2 cannot inspect, 3 undecided\n"
        "Ctrl-C ends the watching and prints what is known so far.\n\n" + _PPROF_NOTES,
    )
    add_target_options(parser)
    add_capture_options(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_const", const="json", dest="form", help="the leaktui.diagnosis/1 form"
    )
    form.add_argument("--md", action="store_const", const="md", dest="form", help="Markdown, for a ticket")
    form.add_argument(
        "--html",
        action="store_const",
        const="html",
        dest="form",
        help="one page with the graphs; wants -o FILE",
    )
    parser.add_argument(
        "--pprof",
        metavar="FILE",
        default=None,
        help="also write goroutines, open bodies and live heap there, for `go tool pprof` (FILE.pb.gz)",
    )
    parser.add_argument(
        "--seconds",
        type=parse_seconds,
        default=60.0,
        metavar="N",
        help="watch at most so long (default 60); it ends as soon as it is sure",
    )
    add_consent_options(parser)
    add_source_roots_options(parser)
    parser.add_argument(
        "--show-secrets", action="store_true", default=False, help="do not mask query values and the like"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=None, help="write there (mode 0600), not to stdout"
    )
    parser.add_argument("--no-color", action="store_true", help="no colours")
    parser.set_defaults(form="text")


def _add_guide(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands,
        "guide",
        "walk through a diagnosis step by step, as text: what is done, why, what was seen, how to do it by hand",
        "exit status: 0 nothing leaks, 1 a leak, 2 cannot inspect, 3 undecided\n"
        "On the screen the same is the key w, or `leaktui --walkthrough`.\n\n" + _PPROF_NOTES,
    )
    add_target_options(parser)
    parser.add_argument("--json", action="store_const", const="json", dest="form", help="as leaktui.guide/1")
    add_consent_options(parser)
    add_source_roots_options(parser)
    parser.add_argument("--show-secrets", action="store_true", default=False, help="mask nothing")
    parser.add_argument("--no-color", action="store_true", help="no colours")
    parser.set_defaults(form="text")


def _add_doctor(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands,
        "doctor",
        "say which sources work on a process, which do not, why, and the remedy",
        "exit status: 0 when some source that can answer works, else 2\n\n" + _PPROF_NOTES,
    )
    add_target_options(parser)
    parser.add_argument("--no-color", action="store_true", help="no colours")


def _add_ps(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(commands, "ps", "list the Go processes here")
    parser.add_argument("--json", action="store_true", default=False, help="as JSON")
    add_credentials_options(parser)


def _add_spans(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands,
        "spans",
        "find requests whose spans have no event of closing the response body",
        "exit status: 0 all closed, 1 some are not, 2 cannot be read, 3 the export cannot tell\n\n"
        "SOURCE is a file (Jaeger's JSON or OTLP's, .gz too), - for standard input, or the query API:\n"
        "  leaktui spans 'http://HOST:16686/api/traces?service=NAME&limit=1000'\n",
    )
    parser.add_argument("source", metavar="SOURCE", help="a file, - for standard input, or a URL")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_const", const="json", dest="form", help="the leaktui.spans/1 form"
    )
    form.add_argument("--md", action="store_const", const="md", dest="form", help="Markdown, for a ticket")
    parser.add_argument(
        "--operation",
        metavar="NAME",
        default=None,
        help="only operations of that name (`GET *` is a pattern)",
    )
    parser.add_argument(
        "--event",
        metavar="NAME",
        default="Body.Close",
        help="what the event of closing is called (default Body.Close)",
    )
    parser.add_argument(
        "--id-tag",
        metavar="TAG",
        action="append",
        dest="id_tags",
        default=None,
        help="the tag with the request's id, where it is not called request_id or the like; may be repeated",
    )
    parser.add_argument(
        "--show-secrets", action="store_true", default=False, help="do not mask query values and the like"
    )
    parser.add_argument("--insecure", action="store_true", help="accept any TLS certificate")
    add_credentials_options(parser, "a Jaeger behind a password", "for it", "the bearer token")
    parser.set_defaults(form="text")


def _add_record(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands,
        "record",
        "watch a process for a while and keep everything that is seen in a file",
        "The file is readable by you alone; query values, passwords and secret headers in it are masked.\n"
        "Ctrl-C ends the recording; what was recorded so far is kept.\n\n" + _PPROF_NOTES,
    )
    add_target_options(parser)
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the file to write (mode 0600)")
    parser.add_argument(
        "--seconds", type=parse_seconds, default=60.0, metavar="N", help="record so long (default 60)"
    )
    add_consent_options(parser)
    add_source_roots_options(parser)
    parser.add_argument(
        "--show-secrets", action="store_true", default=False, help="do not mask query values and the like"
    )


def _add_open(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands, "open", "look at a recording or an execution trace on the screens, without the process"
    )
    parser.add_argument(
        "capture",
        metavar="FILE",
        help="what `leaktui record` has written; or `go test -trace`, runtime/trace, /debug/pprof/trace?seconds=5",
    )
    add_source_roots_options(parser)
    add_screen_options(parser)


def _add_verify(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands,
        "verify",
        "say whether a leak is fixed: the same measurements as in a recording, before and after",
        "exit status: 0 fixed, 1 not fixed, 2 cannot inspect, 3 undecided\n\n" + _PPROF_NOTES,
    )
    parser.add_argument(
        "--baseline", metavar="FILE", required=True, help="a recording of the process that leaked"
    )
    add_target_options(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_const", const="json", dest="form", help="the leaktui.verification/1 form"
    )
    form.add_argument("--md", action="store_const", const="md", dest="form", help="Markdown, for a ticket")
    parser.add_argument(
        "--seconds",
        type=parse_seconds,
        default=None,
        metavar="N",
        help="measure so long (default: as long as the baseline)",
    )
    add_consent_options(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=None, help="write there (mode 0600), not to stdout"
    )
    parser.add_argument("--no-color", action="store_true", help="no colours")
    parser.set_defaults(form="text")


def _add_demo(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(commands, "demo", "run a Go service that leaks, and look at it")
    parser.add_argument("--leak", choices=_LEAKS, default="body", help="what it forgets (default body)")
    parser.add_argument(
        "--rate", type=parse_rate, default=20.0, metavar="N", help="leaks a second (default 20)"
    )
    parser.add_argument(
        "--headless", action="store_true", default=False, help="only run it and print its pid, until Ctrl-C"
    )
    parser.add_argument(
        "--demo-fix",
        action="store_true",
        default=False,
        help="go straight to the end: the repaired build in its place, and the curve that flattens",
    )
    parser.add_argument(
        "--plain", action="store_true", default=False, help="the walkthrough as text, without a screen"
    )
    add_screen_options(parser)


def _add_trace(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add_command(
        commands,
        "trace",
        "record a counted burst of Delve tracepoints, after asking",
        _TRACE_EXAMPLES,
    )
    parser.add_argument(
        "tracepoints",
        nargs="*",
        default=[],
        metavar="FUNCTION[:CONDITION]",
        help="what to record: a function as stacks show it, and an expression over its arguments",
    )
    parser.add_argument(
        "--preset",
        action="append",
        default=[],
        dest="presets",
        metavar="NAME",
        help="alloc[=32K], gc, close, roundtrip[=HOST], bodies; may be repeated",
    )
    parser.add_argument("--pid", type=parse_pid, metavar="N", help="the process")
    limits = parser.add_argument_group("the budget: the first that is reached ends it")
    limits.add_argument("--seconds", type=parse_seconds, default=5.0, metavar="N", help="default 5")
    limits.add_argument("--hits", type=parse_hits, default=500, metavar="N", help="default 500")
    limits.add_argument(
        "--stopped",
        type=parse_seconds,
        default=2.0,
        metavar="N",
        help="seconds the target may stand still for in all (default 2)",
    )
    what = parser.add_argument_group("what is recorded")
    what.add_argument(
        "--depth", type=parse_depth, default=20, metavar="N", help="frames of each stack (default 20)"
    )
    what.add_argument("--returns", action="store_true", default=False, help="at returns, not at entries")
    what.add_argument(
        "--record",
        action="append",
        default=[],
        metavar="EXPRESSION",
        help="record this too, beside the arguments; may be repeated",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_const", const="json", dest="form", help="the leaktui.tracepoints/1 form"
    )
    form.add_argument("--md", action="store_const", const="md", dest="form", help="Markdown, for a ticket")
    form.add_argument("--tsv", action="store_const", const="tsv", dest="form", help="for a spreadsheet")
    parser.add_argument(
        "--by",
        choices=("stack", "function", "none"),
        default=None,
        help="add the hits up by stack or by calling function, or only list them (default: list, then by stack)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=None, help="write there (mode 0600), not to stdout"
    )
    add_consent_options(parser)
    parser.add_argument(
        "--show-secrets", action="store_true", default=False, help="do not mask query values and the like"
    )
    parser.set_defaults(form="text")
