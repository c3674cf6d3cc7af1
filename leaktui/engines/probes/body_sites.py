"""Where response bodies are handed out, closed, and come to an end by themselves.

Law: every function is found by its name, and probed only where the compiler left it whole; what was inlined or is not
linked is said. Names as of Go 1.21 to 1.27 (net/http/transport.go, clientconn.go, h2_bundle.go, internal/http2) and
golang.org/x/net/http2.

HTTP/1: Transport.roundTrip hands out; bodyEOFSignal.Close closes. A body that is read to its end, or to an error,
calls the closure that readLoop gave it (`fn`); so does Close, but after it was entered. A body that nobody reads while
its request is cancelled ends with its connection: persistConn.closeLocked.
HTTP/2: the same Transport hands out, or a ClientConn of golang.org/x/net/http2; transportResponseBody.Close closes.
At EOF the pipe calls `copyTrailers`; cancelled, reset and broken streams pass abortStreamLocked, as does Close, but
after it was entered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from leaktui.binary.executable import Executable
from leaktui.binary.x86 import decode
from leaktui.binary.x86_instruction import RDX, Memory, Operation
from leaktui.engines.probes.body_layout import StreamLayout, StreamPackage
from leaktui.engines.probes.body_recipe import stream_words
from leaktui.engines.probes.entry_point import ProbedFunction, find_probed_function
from leaktui.engines.probes.recipe import Recipe, Register, Site, Word
from leaktui.errors import EngineUnavailable

OPENED = "a response is handed out"
CLOSED = "a body is closed"
REPORTED = "an HTTP/1 body has come to its end"
STREAM_ENDED = "an HTTP/2 stream has come to its end"
DISCONNECTED = "an HTTP/1 connection is closed"

_ROUND_TRIP = "net/http.(*Transport).roundTrip"
_CLIENT_CONN = "net/http.(*ClientConn).RoundTrip"
_SIGNAL_CLOSE = "net/http.(*bodyEOFSignal).Close"
_CONNECTION_CLOSE = "net/http.(*persistConn).closeLocked"
_READ_LOOP_CLOSURE = re.compile(r"net/http\.\(\*persistConn\)\.readLoop\.func\d+")
_ERROR_BYTES = 16
"""What the caller leaves room for where a function takes an error and nothing else."""

_CLOSURE_READ = 64
"""Within so many bytes a method value has read its receiver."""


@dataclass(frozen=True, slots=True)
class BodySites:
    """Where to probe, and what will not be seen, a sentence each.

    `paired` are the HTTP/2 clients of which it is seen when a body is closed: of others none is known to be open.
    `own` are the HTTP/2 clients that are probed where they themselves hand out: golang.org/x/net/http2 may hand on to
    net/http's Transport, and then a body comes by twice.
    """

    sites: tuple[Site, ...]
    unseen: tuple[str, ...]
    paired: tuple[StreamPackage, ...] = ()
    own: frozenset[StreamPackage] = frozenset()

    def counts_at(self, package: StreamPackage, site: Site) -> bool:
        """Whether a body of *package* counts where it comes by *site*: at the first place that it comes by."""
        return package not in self.own or site.function.startswith(f"{package.symbol}.")


def find_body_sites(
    executable: Executable, bias: int, streams: Mapping[StreamPackage, StreamLayout], opened: Recipe
) -> BodySites:
    """The sites of a program loaded *bias* away, with the HTTP/2 clients *streams*.

    *opened* is what to read of a response.

    Raises EngineUnavailable where it has no HTTP client, or one that cannot be probed.
    """
    finder = _Finder(executable, bias, opened)
    finder.add_http1()
    for package, layout in streams.items():
        finder.add_http2(package, layout)
    return BodySites(tuple(finder.sites), tuple(finder.unseen), tuple(finder.paired), frozenset(finder.own))


class _Finder:
    def __init__(self, executable: Executable, bias: int, opened: Recipe) -> None:
        self._executable = executable
        self._bias = bias
        self._opened = opened
        self.sites: list[Site] = []
        self.unseen: list[str] = []
        self.paired: list[StreamPackage] = []
        self.own: set[StreamPackage] = set()

    def add_http1(self) -> None:
        hands_out = self._find(_ROUND_TRIP)
        closes = self._find(_SIGNAL_CLOSE)
        if hands_out is None or closes is None:
            missing = _ROUND_TRIP if hands_out is None else _SIGNAL_CLOSE
            raise EngineUnavailable(
                f"the program has no HTTP client of net/http ({missing} is not linked)",
                remedy="there are no response bodies to pair; look at its goroutines and descriptors",
            )
        if self._is_inlined(_SIGNAL_CLOSE):
            raise EngineUnavailable(
                f"{_SIGNAL_CLOSE} was inlined into other functions of this program",
                remedy="use the memory source",
            )
        self.sites += hands_out.return_sites(OPENED, self._opened, self._bias)
        self.sites.append(closes.entry_site(CLOSED, _RECEIVER, self._bias))
        client_conn = self._try(_CLIENT_CONN)
        if client_conn is not None:
            self.sites += client_conn.return_sites(OPENED, self._opened, self._bias)
        reports = list(self._iter_reports())
        self.sites += [report.entry_site(REPORTED, _CLOSURE, self._bias) for report in reports]
        if not reports:
            self.unseen.append("Bodies that were read to their end and not closed count as open.")
        disconnects = self._try(_CONNECTION_CLOSE)
        if disconnects is not None:
            self.sites.append(disconnects.entry_site(DISCONNECTED, _RECEIVER, self._bias))
        else:
            self.unseen.append("Bodies whose connection was closed under them count as open.")

    def _iter_reports(self) -> Iterator[ProbedFunction]:
        """The closures of readLoop that may be a body's `fn`: the only one that takes an error, or else all."""
        table = self._executable.pc_lines
        found: dict[str, int] = {}
        for name in set(table.iter_names("net/http.(*persistConn).readLoop.func")):
            if _READ_LOOP_CLOSURE.fullmatch(name):
                for index in table.find_indexes(name):
                    found[name] = table.tables(index).args
        taking = [name for name, size in found.items() if size == _ERROR_BYTES]
        for name in taking if len(taking) == 1 else sorted(found):
            closure = self._try(name)
            if closure is not None:
                yield closure

    def add_http2(self, package: StreamPackage, layout: StreamLayout) -> None:
        closes = self._try(package.close)
        if closes is None or self._is_inlined(package.close):
            return
        self.paired.append(package)
        self.sites.append(closes.entry_site(CLOSED, _RECEIVER, self._bias))
        if not package.bundled:
            hands_out = self._try(package.method("ClientConn", "roundTrip"))
            if hands_out is None or hands_out.leaves:
                self.unseen.append(
                    f"Bodies that {package.path} hands out otherwise than through net/http are not seen."
                )
            else:
                self.sites += hands_out.return_sites(OPENED, self._opened, self._bias)
                self.own.add(package)
        at_end = self._try(package.method("clientStream", "copyTrailers-fm"))
        receiver = None if at_end is None else self._captured_receiver(at_end)
        if at_end is not None and receiver is not None:
            recipe = Recipe(stream_words(receiver, layout), only_if=receiver.name)
            self.sites.append(at_end.entry_site(STREAM_ENDED, recipe, self._bias))
        else:
            self.unseen.append("HTTP/2 bodies that were read to their end and not closed count as open.")
        aborts = self._try(package.method("clientStream", "abortStreamLocked"))
        if aborts is not None:
            recipe = Recipe(stream_words(_KEY, layout), only_if=_KEY.name)
            self.sites.append(aborts.entry_site(STREAM_ENDED, recipe, self._bias))
        else:
            self.unseen.append("HTTP/2 bodies whose stream was cancelled or reset count as open.")

    def _find(self, name: str) -> ProbedFunction | None:
        if self._is_inlined(name):
            self.unseen.append(
                f"{name} was inlined into other functions of this program: what passes there is not seen."
            )
        return find_probed_function(self._executable, name)

    def _is_inlined(self, name: str) -> bool:
        return next(self._executable.pc_lines.iter_inlined(name), None) is not None

    def _try(self, name: str) -> ProbedFunction | None:
        """The same for one that others can do without: None also where it cannot be probed on entry."""
        try:
            found = self._find(name)
        except EngineUnavailable:
            return None
        return found if found is not None and found.push is not None else None

    def _captured_receiver(self, method_value: ProbedFunction) -> Word | None:
        """How to read the receiver of a method value from its closure: as its own code does first."""
        if method_value.push is None:
            return None
        start = method_value.push[0]
        code = self._executable.image.read(start, min(_CLOSURE_READ, method_value.end - start))
        offset = 0
        while offset < len(code):
            instruction = decode(code, offset, start + offset)
            if instruction is None or instruction.operation is Operation.CALL:
                return None
            source = instruction.source
            if (
                instruction.operation is Operation.MOVE
                and isinstance(source, Memory)
                and (source.base, source.scaled, source.segment) == (RDX, None, False)
            ):
                return Word(_KEY.name, Register.RDX, source.displacement)
            offset += instruction.size
        return None


_KEY = Word("key", Register.RAX)
_RECEIVER = Recipe((_KEY,), only_if=_KEY.name)
_CLOSURE = Recipe((Word("key", Register.RDX),), only_if="key")
