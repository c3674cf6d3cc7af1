"""What is read where an http.Response is handed out: the words of the recipe, and what they say of a body.

Law: everything is read at once, whatever the body turns out to be: what lies behind it may be gone a moment later.
Reading a body as what it is not gives words that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from leaktui.engines.probes.body_kind import BodyForm, BodyKind
from leaktui.engines.probes.body_layout import BodyLayout, StreamLayout, StreamPackage
from leaktui.engines.probes.body_url import LIMITS
from leaktui.engines.probes.recipe import Recipe, Register, Text, Word

FRAMES = 48
"""Return addresses taken of who asked."""

_CAPTURED = 3
"""Variables the closure has that readLoop makes to hear of a body's end: two channels and the connection."""


class BodyAddresses(NamedTuple):
    """Where a body is: `key` is what Close is called with.

    `report` is the closure it reports its end to, 0 where it has none; `captured` are the variables in it.
    Of an HTTP/2 body `aborted` says that its stream had been given up before it was handed out, and `identity` is
    what tells the stream from others, as `stream_identity` has it.
    """

    key: int
    report: int = 0
    captured: tuple[int, ...] = ()
    aborted: bool = False
    identity: tuple[int, ...] = ()


class OpenRecipe:
    """The recipe, and which word is which, for a program with the HTTP/2 clients *streams*."""

    def __init__(self, layout: BodyLayout, streams: Mapping[StreamPackage, StreamLayout]) -> None:
        response, signal = layout.response.fields, layout.signal.fields
        body = response["Body"].offset
        words = [
            Word("response", Register.RAX),
            Word("goid", Register.R14, layout.goid),
            Word("status", "response", response["StatusCode"].offset),
            Word("major", "response", response["ProtoMajor"].offset),
            Word("minor", "response", response["ProtoMinor"].offset),
            Word("length", "response", response["ContentLength"].offset),
            Word("request", "response", response["Request"].offset),
            Word("itab", "response", body),
            Word("data", "response", body + 8),
            Word("url", "request", layout.request.fields["URL"].offset),
            Word("user", "url", layout.url.fields["User"].offset),
            *_report_words("report", "data", signal["fn"].offset),
        ]
        if layout.gzip is not None:
            words.append(Word("packed", "data", layout.gzip))
            words += _report_words("packed report", "packed", signal["fn"].offset)
        self._streams = streams
        words += _stream_words(streams.values())
        userinfo = layout.userinfo
        self._password = -1
        if userinfo is not None and "passwordSet" in userinfo.fields:
            self._password = len(words)
            words.append(Word("password", "user", userinfo.fields["passwordSet"].offset))
        self.recipe = Recipe(tuple(words), _texts(layout), FRAMES, only_if="response")
        self._places = {word.name: place for place, word in enumerate(words)}

    def word(self, words: tuple[int, ...], name: str) -> int:
        """The word called *name* of a hit's *words*, 0 where this program has none."""
        place = self._places.get(name)
        return 0 if place is None else words[place]

    def has_password(self, words: tuple[int, ...]) -> bool:
        """Whether the URL has a password in it."""
        return bool(self._password >= 0 and self.word(words, "user") and words[self._password] & 0xFF)

    def addresses(self, kind: BodyKind, words: tuple[int, ...]) -> BodyAddresses:
        """Where the body is that a hit's *words* are about; its key is 0 where it could not be read."""
        if kind.form is BodyForm.SIGNAL:
            return BodyAddresses(self.word(words, "data"), *self._report(words, "report"))
        if kind.form is BodyForm.PACKED_SIGNAL:
            return BodyAddresses(self.word(words, "packed"), *self._report(words, "packed report"))
        stream = self._streams.get(kind.package) if kind.package is not None else None
        if stream is None:
            return BodyAddresses(0)
        base = "data" if kind.form is BodyForm.STREAM else _unpacked(stream)
        read = [self.word(words, name) for name in _identity(base, stream)]
        return BodyAddresses(
            self.word(words, base),
            aborted=self.word(words, _aborted(base, stream)) != 0,
            identity=stream_identity(read),
        )

    def _report(self, words: tuple[int, ...], name: str) -> tuple[int, tuple[int, ...]]:
        place = self._places.get(name)
        return (0, ()) if place is None else (words[place], words[place + 1 : place + 1 + _CAPTURED])


def _report_words(name: str, base: str, fn: int) -> list[Word]:
    """The closure in a bodyEOFSignal's `fn`, and the variables that follow its code in memory."""
    captured = [Word(f"{name} {number}", name, 8 * number) for number in range(1, _CAPTURED + 1)]
    return [Word(name, base, fn), *captured]


def _stream_words(streams: Iterable[StreamLayout]) -> list[Word]:
    """The stream of each kind of gzipReader, and the first word of the error of each kind of stream."""
    found: dict[str, Word] = {}
    for stream in streams:
        bases = ["data"]
        if stream.gzip_body is not None:
            name = _unpacked(stream)
            found[name] = Word(name, "data", stream.gzip_body + 8)  # the data word of the interface there
            bases.append(name)
        for base in bases:
            if stream.abort_error is not None:
                found.setdefault(
                    _aborted(base, stream), Word(_aborted(base, stream), base, stream.abort_error)
                )
            for name, offset in zip(_identity(base, stream), stream.identity, strict=True):
                found.setdefault(name, Word(name, base, offset))
    return list(found.values())


def stream_words(key: Word, stream: StreamLayout) -> tuple[Word, ...]:
    """Those of a hit that is about the stream at *key*: itself, and what `stream_identity` takes."""
    return (
        key,
        *(
            Word(name, key.name, at)
            for name, at in zip(_identity(key.name, stream), stream.identity, strict=True)
        ),
    )


def stream_identity(read: Sequence[int]) -> tuple[int, ...]:
    """What tells a stream from a later one at its address: its connection and its number there, a uint32."""
    return tuple(word if place == 0 else word & 0xFFFFFFFF for place, word in enumerate(read))


def _unpacked(stream: StreamLayout) -> str:
    return f"unpacked at {stream.gzip_body}"


def _identity(base: str, stream: StreamLayout) -> tuple[str, ...]:
    return tuple(f"identity at {offset} of {base}" for offset in stream.identity)


def _aborted(base: str, stream: StreamLayout) -> str:
    return f"error at {stream.abort_error} of {base}"


def _texts(layout: BodyLayout) -> tuple[Text, ...]:
    """The strings of body_url.UrlPieces, in its order; an empty one for a field this release has not got."""
    url = {
        name: layout.url.fields[field].offset
        for name, field in (
            ("scheme", "Scheme"),
            ("opaque", "Opaque"),
            ("host", "Host"),
            ("path", "Path"),
            ("raw_path", "RawPath"),
            ("raw_query", "RawQuery"),
        )
    }
    username = layout.userinfo.fields["username"].offset if layout.userinfo is not None else 0
    places: dict[str, tuple[str, int]] = {
        "method": ("request", layout.request.fields["Method"].offset),
        **{name: ("url", offset) for name, offset in url.items()},
        "username": ("user", username),
    }
    return tuple(Text(name, *places[name], limit) for name, limit in LIMITS.items())
