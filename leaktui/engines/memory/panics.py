"""Panics in flight, from a goroutine's stack.

Law: pure but for the values that were passed to panic, which are in the heap. A runtime._panic lives on the
stack of its goroutine (runtime/panic.go `gopanic`); one that does not is torn. `runtime.Goexit` is no panic.
"""

from __future__ import annotations

import struct

from leaktui.binary.runtime_types import RuntimeTypes, StructLayout
from leaktui.engines.memory.goroutines import StackBytes
from leaktui.engines.memory.interface_text import read_interface_text
from leaktui.engines.memory.reader import MemoryReader
from leaktui.errors import DecodeError
from leaktui.model.wait import Panic

PANICS_LIMIT = 64
"""Panics told of one goroutine: each was raised by a call deferred before the next."""


def decode_panics(
    layout: StructLayout, address: int, stack: StackBytes, types: RuntimeTypes, memory: MemoryReader
) -> tuple[Panic, ...]:
    """The chain of panics from the one at *address* on, newest first.

    Raises DecodeError for one that is not on *stack*, or has no known layout.
    """
    try:
        arg, link, recovered, goexit = (
            layout.fields[name].offset for name in ("arg", "link", "recovered", "goexit")
        )
    except KeyError as error:
        raise DecodeError(f"runtime._panic has no field {error.args[0]}") from None
    found: list[Panic] = []
    end = stack.sp + len(stack.data)
    for _ in range(PANICS_LIMIT):
        if not address:
            break
        if not stack.sp <= address <= end - layout.size or address % 8:
            if address >= end and not stack.whole:
                break
            raise DecodeError("a panic is not on its goroutine's stack")
        place = address - stack.sp
        data = stack.data[place : place + layout.size]
        type_address, value, following = struct.unpack_from("<QQ", data, arg) + struct.unpack_from(
            "<Q", data, link
        )
        if not data[goexit]:
            text, type_name = read_interface_text(memory, types, type_address, value)
            found.append(Panic(text, type_name, bool(data[recovered])))
        # An older panic was raised by a frame farther out.
        if following and following <= address:
            raise DecodeError("the chain of panics runs inwards")
        address = following
    return tuple(found)
