"""The abstract values a register or a memory word can hold, and what is known of each.

Law: a value is immutable and hashable; what is not known is None, and None never proves anything.

The response itself is a `Pointer` to the region RESPONSE, whose words 0x40 and 0x48 are at first the body's
itab and data: a struct copy, a replaced body or a field of another object then need no rules of their own.
"""

from __future__ import annotations

from typing import NamedTuple

BODY_ITAB_OFFSET = 0x40
BODY_DATA_OFFSET = 0x48
"""net/http.Response.Body, the same in Go 1.22 to 1.27 (net/http/response.go)."""

ITAB_FIRST_METHOD = 0x18
"""Offset of abi.ITab.Fun, one code pointer a method, methods sorted by name (internal/abi/iface.go)."""


class Region(NamedTuple):
    """A piece of memory told apart from all others.

    `stack` frames by depth, `heap` objects by allocation site, the `response`; an `argument` is what the
    function's argument points at, if it is a pointer at all.
    """

    kind: str
    number: int = 0


RESPONSE = Region("response")


class Pointer(NamedTuple):
    """An address inside a region."""

    region: Region
    offset: int


class Constant(NamedTuple):
    """A number known at link time: a flag, nil, or the address of a function, an itab, a global."""

    number: int


class Loaded(NamedTuple):
    """What a pointer-sized global held when it was read."""

    address: int


class Itab(NamedTuple):
    """The itab of the body's concrete type for the interface type described at an address."""

    interface: int


class Method(NamedTuple):
    """A code pointer taken from an itab of the body: `Close`, `Read`; `name` is empty if not known."""

    name: str


class Flag(NamedTuple):
    """A byte set to a constant: the bits that say which defers run, or a bool. Paths differ by it."""

    number: int


class Ones(NamedTuple):
    """A number of which `bits` are set for sure, and nothing else is known: a flag or-ed to an unknown bool."""

    bits: int


class Unread(NamedTuple):
    """The byte at a known place whose value is not known: a bool that may be tested again."""

    region: Region
    offset: int


class Pair(NamedTuple):
    """The two words of a vector register."""

    low: Value | None
    high: Value | None


class Mark(NamedTuple):
    """A value known by its role alone."""

    role: str


BODY_ITAB = Mark("body itab")
BODY_DATA = Mark("body data")
ERROR = Mark("nil if there is a response")
"""Not nil exactly on the paths that got no response: the error beside it."""
READER = Mark("reader over the body")
"""What the standard library built around the body: a decoder, a scanner, a decompressor."""
NOT_NIL = Mark("not nil")
BARRIER = Mark("write barrier buffer")
SHARED = Mark("others can reach this")
"""Held at SHARED_OFFSET of an object that was made here and whose address was stored out of sight."""
SHARED_OFFSET = -(1 << 50)
NO_ARGUMENTS = Mark("func() that takes nothing")
"""A context's cancel function: whatever lies in the argument registers is not for it."""

Value = Pointer | Constant | Loaded | Itab | Method | Flag | Ones | Unread | Mark

NIL = Constant(0)
RESPONSE_POINTER = Pointer(RESPONSE, 0)

_FOLLOWED = frozenset((BODY_ITAB, BODY_DATA, ERROR, READER))


def is_followed(value: Value) -> bool:
    """Whether two paths that differ in this value must be kept apart."""
    if type(value) is Pointer:
        return value.region == RESPONSE
    return value in _FOLLOWED or type(value) is Method or type(value) is Flag or type(value) is Ones


def known_zero(value: Value | None) -> bool | None:
    """True for nil, False for what cannot be nil, None if either."""
    if value is None:
        return None
    if type(value) is Constant:
        return value.number == 0
    if type(value) is Pointer:
        return None if value.region.kind == "argument" else False
    if value in (BODY_ITAB, BODY_DATA, READER, NOT_NIL, BARRIER, NO_ARGUMENTS):
        return False
    return False if type(value) in (Method, Ones) else None
