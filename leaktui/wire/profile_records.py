"""The outermost level of a profile.proto: which records there are, not yet what they say.

Law: every length is checked before it is believed, and what may be held is bounded by the constants
below, so that a profile of N bytes never costs more than a small multiple of N.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leaktui.errors import DecodeError, LimitExceeded, Truncated
from leaktui.text import format_bytes, format_count
from leaktui.wire.gzip_stream import inflate_gzip, is_gzip
from leaktui.wire.payload import is_text, name_payload

MAX_RECORDS = 4_000_000
"""Records in a profile. 100,000 goroutines on as many stacks make about 200,000."""

MAX_RECORD_BYTES = 1 << 20
"""Size of one sample, location or function. Go's deepest stacks (1,024 frames) take 5 kB."""

_MAX_COMMENTS = 1000  # they are remarks for people; the rest is dropped

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

# Field numbers of perftools.profiles.Profile (runtime/pprof/proto.go: tagProfile_*).
_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING = 1, 2, 4, 5, 6
_TIME_NANOS, _DURATION_NANOS, _PERIOD_TYPE, _PERIOD, _COMMENT = 9, 10, 11, 12, 13


@dataclass(slots=True)
class ProfileRecords:
    """The records of a profile, by kind, in file order. `comments` are string indices."""

    sample_types: list[bytes] = field(default_factory=list)
    samples: list[bytes] = field(default_factory=list)
    locations: list[bytes] = field(default_factory=list)
    functions: list[bytes] = field(default_factory=list)
    strings: list[bytes] = field(default_factory=list)
    period_type: bytes | None = None
    comments: list[int] = field(default_factory=list)
    time_ns: int = 0
    duration_ns: int = 0
    period: int = 0


def read_profile_records(data: bytes, *, limit_bytes: int) -> ProfileRecords:
    """Split *data*, a profile.proto, gzip-compressed or not, into its records.

    Raises Truncated, LimitExceeded, or DecodeError saying what *data* looks like instead.
    """
    if not data:
        raise Truncated("the profile is empty (0 bytes)", remedy="fetch it again")
    if is_gzip(data):
        data = inflate_gzip(data, limit_bytes=limit_bytes)
    elif len(data) > limit_bytes:
        raise LimitExceeded(
            f"the profile is {format_bytes(len(data))}, more than the {format_bytes(limit_bytes)} "
            "leaktui is ready to hold"
        )
    if is_text(data):
        raise DecodeError(f"{name_payload(data)}, not a profile")
    try:
        return _split(data)
    except IndexError:
        raise _ends_early() from None


def _ends_early() -> Truncated:
    return Truncated("the profile ends in the middle of a record", remedy="fetch it again")


def _split(data: bytes) -> ProfileRecords:
    records = ProfileRecords()
    lists: dict[int, list[bytes]] = {
        _SAMPLE_TYPE: records.sample_types,
        _SAMPLE: records.samples,
        _LOCATION: records.locations,
        _FUNCTION: records.functions,
        _STRING: records.strings,
    }
    position, end, count = 0, len(data), 0
    while position < end:
        count += 1
        if count > MAX_RECORDS:
            raise LimitExceeded(
                f"the profile has more than {format_count(MAX_RECORDS)} records, the most leaktui reads"
            )
        # The common case (tag and length in one or two bytes) is spelt out: this loop is a fifth of
        # the time a profile takes.
        tag = data[position]
        position += 1
        if tag > 0x7F:
            tag, position = _varint(data, position - 1)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _LENGTH:
            length = data[position]
            position += 1
            if length > 0x7F:
                length, position = _varint(data, position - 1)
            stop = position + length
            if stop > end:
                raise _ends_early()
            if number in lists:
                if length > MAX_RECORD_BYTES and number != _STRING:
                    raise LimitExceeded(
                        f"the profile has a record of {format_bytes(length)}, more than the "
                        f"{format_bytes(MAX_RECORD_BYTES)} leaktui reads"
                    )
                lists[number].append(data[position:stop])
            elif number == _PERIOD_TYPE:
                records.period_type = data[position:stop]
            elif number == _COMMENT:
                _unpack_comments(data[position:stop], records.comments)
            position = stop
        elif wire_type == _VARINT:
            value, position = _varint(data, position)
            _set_number(records, number, value)
        elif wire_type in (_FIXED64, _FIXED32):
            position += 8 if wire_type == _FIXED64 else 4
            if position > end:
                raise _ends_early()
        else:
            raise DecodeError(f"{name_payload(data)}, not a profile")
    return records


def _set_number(records: ProfileRecords, number: int, value: int) -> None:
    if value >> 63:
        value -= 1 << 64
    if number == _TIME_NANOS:
        records.time_ns = value
    elif number == _DURATION_NANOS:
        records.duration_ns = value
    elif number == _PERIOD:
        records.period = value
    elif number == _COMMENT and len(records.comments) < _MAX_COMMENTS:
        records.comments.append(value)


def _unpack_comments(packed: bytes, comments: list[int]) -> None:
    position = 0
    while position < len(packed) and len(comments) < _MAX_COMMENTS:
        value, position = _varint(packed, position)
        comments.append(value)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The varint at *position* and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
        if shift > 63:
            raise DecodeError("the profile holds a number longer than 64 bits")
