"""Keeps the books of response bodies: who was handed which, and whether it was closed.

Law: a body is closed when the program calls Close, whatever happened before; `ended` when it was read to its end or
to an error, or its connection or stream ended, without that; open until then. What has nothing to close is only
counted, what cannot be paired is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from leaktui.engines.memory.attachment import Attachment
from leaktui.engines.probes.body_connection import BodyConnections
from leaktui.engines.probes.body_kind import BodyForm, BodyKinds
from leaktui.engines.probes.body_layout import (
    find_body_layout,
    find_stream_layout,
    find_stream_packages,
)
from leaktui.engines.probes.body_recipe import BodyAddresses, OpenRecipe, stream_identity
from leaktui.engines.probes.body_sites import (
    CLOSED,
    DISCONNECTED,
    OPENED,
    REPORTED,
    STREAM_ENDED,
    BodySites,
    find_body_sites,
)
from leaktui.engines.probes.body_url import UrlPieces
from leaktui.engines.probes.call_chain import CallChains
from leaktui.engines.probes.pairing import BOOKS_FULL, Pairing
from leaktui.engines.probes.recipe import Hit, Site
from leaktui.errors import EngineUnavailable
from leaktui.model.ledger import Ledger, LedgerKind, Opened

_OTHERS = (
    "Bodies that net/http's Transport did not hand out (HTTP/3, clients with connections of their own)"
    " are not seen."
)
_SWITCHED = 101
_TYPES_TOLD = 8
_PLACES_CACHED = 1 << 14
_ABORTS_KEPT = 1 << 10
_HANDING_OVER = 1_000_000
"""Nanoseconds: what was given up longer ago says so itself."""

_NANOSECONDS = 1e9


_DESCRIBED = 20_000
"""Of so many open bodies it is kept what they answer; of more only that they are open."""


class _Body(NamedTuple):
    """An open body as its probe saw it. `words` and `texts` are empty where they are not kept."""

    report: int
    connection: int
    identity: tuple[int, ...]
    words: tuple[int, ...]
    texts: tuple[bytes, ...]


class BodyWatcher:
    """The watcher of response bodies of one process. Not thread-safe."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._chains = CallChains(attachment.executable, attachment.bias)
        self._pairing = Pairing()
        self._bodies: dict[int, _Body] = {}
        """By key, while open; those of the next two are of bodies in here."""
        self._key_of_report: dict[int, int] = {}
        self._key_of_connection: dict[int, int] = {}
        self._fresh: set[int] = set()
        """HTTP/1 bodies that were handed out since the books were last asked for."""
        self._aborted: dict[tuple[int, ...], int] = {}
        """When streams were given up that are not in the books, in nanoseconds, by address and identity."""
        self._places: dict[tuple[int, tuple[int, ...], bool], int] = {}
        self._without = 0
        self._doubted = 0
        self._unpaired: Counter[str] = Counter()
        self._switched = 0
        self._connections: BodyConnections | None = None
        self._recipe: OpenRecipe | None = None
        self._kinds: BodyKinds | None = None
        self._found: BodySites | None = None
        self._handlers: dict[str, Callable[[Hit], None]] = {
            OPENED: self._open,
            CLOSED: self._close,
            REPORTED: self._report,
            STREAM_ENDED: self._end_stream,
            DISCONNECTED: self._disconnect,
        }

    def sites(self) -> tuple[Site, ...]:
        """Where to probe. Raises EngineUnavailable."""
        return self._find().sites

    def unseen(self) -> tuple[str, ...]:
        """What these probes do not see, a sentence each. Raises EngineUnavailable."""
        return (*self._find().unseen, _OTHERS)

    def _find(self) -> BodySites:
        if self._found is None:
            executable, types = self._attachment.executable, self._attachment.layout.types
            packages = find_stream_packages(executable)
            layout = find_body_layout(types)
            if layout is None:
                raise EngineUnavailable(
                    "the program has no HTTP client of net/http, or one that leaktui does not know",
                    remedy="there are no response bodies to pair; look at its goroutines and descriptors",
                )
            streams = {package: find_stream_layout(types, package) for package in packages}
            self._connections = BodyConnections(self._attachment.memory, layout)
            self._recipe = OpenRecipe(layout, streams)
            self._found = find_body_sites(executable, self._attachment.bias, streams, self._recipe.recipe)
            self._kinds = BodyKinds(self._attachment.memory, types, self._found.paired)
        return self._found

    # --- what happens ---

    def handle(self, hit: Hit) -> None:
        """Enter *hit* into the books."""
        self._handlers[hit.site.event](hit)

    def doubt(self) -> None:
        """Hits were lost: what is open by the books may have been closed, and is not followed any more.

        To be called when all hits from before are entered.
        """
        self._doubted += self._pairing.doubt()
        for books in (self._bodies, self._key_of_report, self._key_of_connection, self._fresh, self._aborted):
            books.clear()

    def _open(self, hit: Hit) -> None:
        recipe, kinds, found = self._recipe, self._kinds, self._found
        if recipe is None or kinds is None or found is None:
            return
        words = hit.words
        kind = kinds.of(recipe.word(words, "itab"))
        if kind.package is not None and not found.counts_at(kind.package, hit.site):
            return
        if kind.form is BodyForm.NOTHING:
            self._without += 1
            return
        if kind.form is BodyForm.OTHER:
            if recipe.word(words, "status") == _SWITCHED:
                self._switched += 1
            else:
                self._unpaired[kind.name] += 1
            return
        addresses = recipe.addresses(kind, words)
        key = addresses.key
        if not key:
            self._unpaired[kind.name] += 1
            return
        if key in self._bodies:
            self._forget(key)  # it was collected, and another has its place
        self._pairing.open(
            Opened(
                key,
                hit.time_ns / _NANOSECONDS,
                self._place(hit),
                recipe.word(words, "goid"),
                response=recipe.word(words, "response"),
            )
        )
        if key not in self._pairing:
            return  # the books are full
        connection = self._connections.find(addresses.captured) if self._connections is not None else 0
        described = len(self._bodies) < _DESCRIBED
        self._bodies[key] = _Body(
            addresses.report,
            connection,
            addresses.identity,
            words if described else (),
            hit.texts if described else (),
        )
        if addresses.report:
            self._key_of_report[addresses.report] = key
        if connection:
            self._key_of_connection[connection] = key
            self._fresh.add(key)
        elif self._was_aborted(addresses, hit.time_ns):
            self._end(key, hit)

    def _close(self, hit: Hit) -> None:
        key = hit.words[0]
        self._pairing.close(key, hit.time_ns / _NANOSECONDS)
        self._forget(key)

    def _end(self, key: int, hit: Hit) -> None:
        self._pairing.end(key, hit.time_ns / _NANOSECONDS)
        self._forget(key)

    def _report(self, hit: Hit) -> None:
        key = self._key_of_report.get(hit.words[0])
        if key is not None:
            self._end(key, hit)

    def _end_stream(self, hit: Hit) -> None:
        key, *read = hit.words
        identity = stream_identity(read)
        body = self._bodies.get(key)
        if body is not None and body.identity == identity:
            self._end(key, hit)
        else:
            self._note_abort((key, *identity), hit.time_ns)

    def _disconnect(self, hit: Hit) -> None:
        key = self._key_of_connection.get(hit.words[0])
        if key is not None:
            self._end(key, hit)

    def _forget(self, key: int) -> None:
        body = self._bodies.pop(key, None)
        if body is None:
            return
        for known, address in (
            (self._key_of_report, body.report),
            (self._key_of_connection, body.connection),
        ):
            if known.get(address) == key:
                del known[address]

    def _place(self, hit: Hit) -> int:
        key = (hit.site.address, hit.frames, hit.whole)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _PLACES_CACHED:
                self._places.clear()
            stack = self._chains.stack(hit.site.address, hit.frames)
            place = self._places[key] = self._pairing.place(stack, hit.whole)
        return place

    # --- what ended before it was handed out ---

    def _note_abort(self, stream: tuple[int, ...], time: int) -> None:
        """A stream was given up that is not in the books: it may be on the way to be handed out."""
        if len(self._aborted) >= _ABORTS_KEPT:
            self._aborted.clear()
        self._aborted[stream] = time

    def _was_aborted(self, addresses: BodyAddresses, time: int) -> bool:
        """Whether the stream said so itself, or was just about to."""
        aborted = self._aborted.get((addresses.key, *addresses.identity))
        return addresses.aborted or (aborted is not None and time - aborted < _HANDING_OVER)

    def _settle(self, now: float) -> None:
        """End those whose connection was closed in the short time before they were handed out.

        What happens after that is seen: it is enough to look once.
        """
        fresh, self._fresh = self._fresh, set()
        for key in fresh:
            body = self._bodies.get(key)
            if (
                body is not None
                and self._connections is not None
                and self._connections.is_closed(body.connection)
            ):
                self._pairing.end(key, now)
                self._forget(key)

    # --- the books ---

    def ledger(self, began: float, now: float) -> Ledger:
        """The books as they stand."""
        self._settle(now)
        unseen = []
        if self._switched:
            unseen.append(
                "Connections that the program took over (101 Switching Protocols) are not watched:"
                f" {self._switched} so far."
            )
        if self._pairing.full:
            unseen.append(BOOKS_FULL)
        if self._doubted:
            unseen.append(
                f"Bodies that were open when hits were lost are not followed: {self._doubted} so far."
            )
        for name, count in self._unpaired.most_common(_TYPES_TOLD):
            kind = f"of type {name}" if name else "of a type that is not known"
            unseen.append(f"Bodies {kind} are not paired: {count} so far.")
        return Ledger(
            LedgerKind.BODIES,
            began,
            now,
            places=self._pairing.places(),
            open=tuple(map(self._described, self._pairing.listed())),
            closed_unseen=self._pairing.closed_unseen,
            unseen_times=self._pairing.unseen_times,
            without=self._without,
            unseen=tuple(unseen),
        )

    def _described(self, opened: Opened) -> Opened:
        """*opened* with what its request says; it is put into words only when somebody looks."""
        body, recipe = self._bodies.get(opened.key), self._recipe
        if body is None or recipe is None or not body.words:
            return opened
        words = body.words
        pieces = UrlPieces(*body.texts)
        status, length = recipe.word(words, "status"), recipe.word(words, "length")
        major, minor = recipe.word(words, "major"), recipe.word(words, "minor")
        return replace(
            opened,
            method=pieces.format_method(),
            url=pieces.format_url(with_password=recipe.has_password(words)),
            status=status if 100 <= status <= 999 else None,
            protocol="HTTP/2" if major == 2 else f"HTTP/{major}.{minor}" if major == 1 else "",
            content_length=length if length < 1 << 63 else None,
        )
