"""What a probe reads when the target comes by, and what comes of it: the contract between sites and kernel.

Law: a recipe only reads. It is written once per site and compiled to a BPF program (`program`), or followed by
hand where the kernel takes no BPF; either way the same `Hit` comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Register(Enum):
    """A register of amd64; the value is its offset in `struct pt_regs` (arch/x86/include/asm/ptrace.h).

    Go's ABIInternal passes integers and pointers in RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11 and returns them
    in the same; a closure's context is in RDX, the g in R14 (cmd/compile/abi-internal.md).
    """

    R15 = 0
    R14 = 8
    R13 = 16
    R12 = 24
    RBP = 32
    RBX = 40
    R11 = 48
    R10 = 56
    R9 = 64
    R8 = 72
    RAX = 80
    RCX = 88
    RDX = 96
    RSI = 104
    RDI = 112
    RIP = 128
    RSP = 152


@dataclass(frozen=True, slots=True)
class Word:
    """Eight bytes: the register *base* itself (offset None), or what lies at *base* + *offset*.

    *base* is a register, or the name of a word read before it. A word that cannot be read is 0.
    """

    name: str
    base: Register | str
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """The Go string whose header (pointer, length) lies at *base* + *offset*; its first *limit* bytes.

    Where *offset* is None the header is not in memory: *base* names the word with the pointer, *length* the one
    with the length.
    """

    name: str
    base: Register | str
    offset: int | None
    limit: int
    length: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to read at a site, in this order.

    `frames` is how many return addresses to take at most: first the one at [RSP], which is the immediate
    caller's both before `PUSHQ BP` and at RET, then up the frame pointers. A hit is recorded only where the word
    `only_if` is at least `at_least` (unsigned); empty for always.
    """

    words: tuple[Word, ...] = ()
    texts: tuple[Text, ...] = ()
    frames: int = 0
    only_if: str = ""
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class Site:
    """Where to probe. `address` is in the running process, `file_offset` the same place in its executable.

    `byte` is the instruction's first byte, proved before arming: 0x55 (PUSHQ BP), 0xC3 (RET), or 0xE8 (CALL rel32,
    which the kernel emulates as it does the PUSHQ). At a CALL the function still has its frame: what lies at [RSP]
    is no return address, so that the first of `Hit.frames` means nothing.
    `event` says what a hit means to the watcher it belongs to; `function` is for people.
    """

    event: str
    function: str
    address: int
    file_offset: int
    byte: int
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Hit:
    """The target came by `site`. `time_ns` is CLOCK_MONOTONIC; words and texts are in the recipe's order.

    `frames` are return addresses, innermost first; `whole` says that the chain ended by itself (the frame
    pointer became 0) and not at the recipe's limit or where memory could not be read.
    """

    site: Site
    time_ns: int
    tid: int
    words: tuple[int, ...]
    texts: tuple[bytes, ...] = ()
    frames: tuple[int, ...] = ()
    whole: bool = True
