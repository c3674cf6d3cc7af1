"""The messages of pprof's profile.proto, described at run time.

Law: google.protobuf is imported on first use, not before (it costs 35 to 60 ms), and no generated
file is kept. Names and field numbers are the public format, as in Go 1.22's
runtime/pprof/proto.go (tagProfile_*, tagSample_*, …); fields nobody here reads are left out and
skipped by the runtime. `Profile` itself is absent: profile_records walks it record by record, so
that a hostile profile never exists in memory as a whole tree of messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

_INT64, _UINT64, _MESSAGE = 3, 4, 11  # FieldDescriptorProto.Type
_OPTIONAL, _REPEATED = 1, 3  # FieldDescriptorProto.Label
_PACKAGE = "perftools.profiles"

_MESSAGES: dict[str, tuple[tuple[str, int, int | str, int], ...]] = {
    "ValueType": (("type", 1, _INT64, _OPTIONAL), ("unit", 2, _INT64, _OPTIONAL)),
    "Label": (
        ("key", 1, _INT64, _OPTIONAL),
        ("str", 2, _INT64, _OPTIONAL),
        ("num", 3, _INT64, _OPTIONAL),
    ),
    "Sample": (
        ("location_id", 1, _UINT64, _REPEATED),
        ("value", 2, _INT64, _REPEATED),
        ("label", 3, "Label", _REPEATED),
    ),
    "Line": (("function_id", 1, _UINT64, _OPTIONAL), ("line", 2, _INT64, _OPTIONAL)),
    "Location": (
        ("id", 1, _UINT64, _OPTIONAL),
        ("address", 3, _UINT64, _OPTIONAL),
        ("line", 4, "Line", _REPEATED),
    ),
    "Function": (
        ("id", 1, _UINT64, _OPTIONAL),
        ("name", 2, _INT64, _OPTIONAL),
        ("filename", 4, _INT64, _OPTIONAL),
        ("start_line", 5, _INT64, _OPTIONAL),
    ),
}

Parser = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class ProfileParsers:
    """One parser a message: bytes in, the runtime's message object out.

    They raise `error` on malformed bytes.
    """

    value_type: Parser
    sample: Parser
    location: Parser
    function: Parser
    error: type[Exception]


@cache
def profile_parsers() -> ProfileParsers:
    """The parsers, built once."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="leaktui/profile.proto", package=_PACKAGE, syntax="proto3")
    for message_name, fields in _MESSAGES.items():
        message_type = file.message_type.add(name=message_name)
        for name, number, kind, label in fields:
            field = message_type.field.add(name=name, number=number)
            field.label = label  # type: ignore[assignment]
            if isinstance(kind, str):
                field.type = _MESSAGE  # type: ignore[assignment]
                field.type_name = f".{_PACKAGE}.{kind}"
            else:
                field.type = kind  # type: ignore[assignment]
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())

    def parser(name: str) -> Parser:
        found: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        return found.FromString  # type: ignore[no-any-return]

    return ProfileParsers(
        value_type=parser("ValueType"),
        sample=parser("Sample"),
        location=parser("Location"),
        function=parser("Function"),
        error=message.DecodeError,
    )
