"""A synthetic heap profile of any size, byte for byte a pprof profile.proto.

Law: written with its own few lines of wire format, so that it shares nothing with the decoder under
test. The shape imitates a large service: call trees that branch, a fifth of the locations with
inlined calls, several sample sizes on one stack.
"""

from __future__ import annotations

import gzip
import random
import sys
from collections.abc import Iterable
from pathlib import Path


def varint(value: int) -> bytes:
    """Base-128 varint of *value* (negative numbers as 64-bit two's complement)."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def block(field: int, payload: bytes) -> bytes:
    """A length-delimited field: a string, a message or packed numbers."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def packed(field: int, values: Iterable[int]) -> bytes:
    """Packed numbers."""
    return block(field, b"".join(map(varint, values)))


class StringTable:
    """Index of each string; entry 0 is the empty one, as the format demands."""

    def __init__(self) -> None:
        self.indices: dict[str, int] = {"": 0}

    def index(self, text: str) -> int:
        return self.indices.setdefault(text, len(self.indices))

    def encode(self) -> bytes:
        return b"".join(block(6, text.encode()) for text in self.indices)


def make_profile(
    samples: int = 10_000, *, functions: int = 2_500, depth: int = 28, seed: int = 1, compress: bool = True
) -> bytes:
    """A heap profile with *samples* samples on stacks of about *depth* locations."""
    dice = random.Random(seed)
    strings = StringTable()
    out = bytearray()
    columns = (
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    )
    for name, unit in columns:
        out += block(1, number(1, strings.index(name)) + number(2, strings.index(unit)))
    bytes_label = strings.index("bytes")

    # A location is a call site; it may call only sites of its own few callees, which makes a tree.
    sites = functions * 2
    stack: list[int] = []
    for _ in range(samples):
        if stack and dice.random() < 0.8:  # a neighbour: shares its outer frames with the stack before
            del stack[dice.randrange(len(stack) // 2, len(stack)) :]
        else:
            stack = []
        target = max(4, int(dice.gauss(depth, depth / 4)))
        while len(stack) < target:
            parent = stack[-1] if stack else 0
            stack.append((parent * 7 + dice.randrange(4) + len(stack)) % sites + 1)
        size = 1 << dice.randrange(4, 16)
        allocated = dice.randrange(1, 5_000)
        live = dice.randrange(0, allocated)
        label = number(1, bytes_label) + number(3, size)
        out += block(
            2,
            packed(1, reversed(stack))
            + packed(2, (allocated, allocated * size, live, live * size))
            + block(3, label),
        )
    out += block(3, number(1, 1) + number(2, 0x400000) + number(3, 0x2000000) + number(7, 1))
    for site in range(1, sites + 1):
        lines = [(site - 1) % functions + 1]
        if site % 5 == 0:
            lines.insert(0, (site * 3) % functions + 1)
        body = number(1, site) + number(2, 1) + number(3, 0x400000 + site * 37)
        for function in lines:
            body += block(4, number(1, function) + number(2, 10 + (site * 13) % 900))
        out += block(4, body)
    for function in range(1, functions + 1):
        package = f"example.com/service/internal/part{function % 97:02d}"
        name = strings.index(f"{package}.(*Handler{function % 31}).method{function}")
        file = strings.index(f"{package}/file{function % 13}.go")
        out += block(
            5, number(1, function) + number(2, name) + number(3, name) + number(4, file) + number(5, 7)
        )
    period_type = number(1, strings.index("space")) + number(2, strings.index("bytes"))
    out += strings.encode()
    out += number(9, 1_700_000_000_000_000_000)
    out += block(11, period_type)
    out += number(12, 512 * 1024)
    return gzip.compress(bytes(out), 1, mtime=0) if compress else bytes(out)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(make_profile(int(sys.argv[2]) if len(sys.argv) > 2 else 10_000))
