"""The string and stack tables of one generation.

Law: numbers of strings and stacks mean something only within their generation; 0 is the empty one and
is never written. Frames are built when first asked for, and the text in them has passed `printable`.
"""

from __future__ import annotations

from leaktui.errors import DecodeError, LimitExceeded
from leaktui.model.frame import Frame, Stack
from leaktui.text import printable
from leaktui.wire.trace.events import STACK, STACKS, STRING
from leaktui.wire.trace.varint import decode_varint, decode_varints

MAX_STRINGS = 1 << 20
MAX_FRAMES = 1 << 22
_MAX_STRING_BYTES = 1 << 10  # tracev2.MaxEventTrailerDataSize
_MAX_STACK_FRAMES = 1 << 10  # the runtime stops at 128

StackKey = tuple[int, ...]
"""pc and line of each frame: equal for equal stacks of one process, whatever the generation."""


class Tables:
    """Strings and stacks, filled by batches, resolved on demand."""

    def __init__(self) -> None:
        self._strings: dict[int, bytes] = {}
        self._texts: dict[int, str] = {0: ""}
        # pc, function, file, line of each frame, flat.
        self._stacks: dict[int, tuple[int, ...]] = {0: ()}
        self._frame_count = 0

    def add_strings(self, data: bytes) -> None:
        """Take a strings batch: `04 (05 id length bytes)*`."""
        index, end = 1, len(data)
        try:
            while index < end:
                if data[index] != STRING:
                    raise DecodeError("the execution trace's string table is damaged")
                number, index = decode_varint(data, index + 1)
                length, index = decode_varint(data, index)
                if length > _MAX_STRING_BYTES or index + length > end:
                    raise DecodeError("a string of the execution trace is longer than the format allows")
                self._strings[number] = data[index : index + length]
                index += length
        except IndexError:
            raise DecodeError("the execution trace's string table is damaged") from None
        if len(self._strings) > MAX_STRINGS:
            raise LimitExceeded(f"the execution trace holds more than {MAX_STRINGS} strings in one second")

    def add_stacks(self, data: bytes) -> None:
        """Take a stacks batch: `02 (03 id count (pc function file line)*)*`."""
        numbers = decode_varints(data)
        if not numbers or numbers[0] != STACKS:
            raise DecodeError("the execution trace's stack table is damaged")
        index, end = 1, len(numbers)
        while index < end:
            if numbers[index] != STACK or index + 3 > end:
                raise DecodeError("the execution trace's stack table is damaged")
            count = numbers[index + 2]
            first = index + 3
            index = first + 4 * count
            if count > _MAX_STACK_FRAMES or index > end:
                raise DecodeError("a stack of the execution trace is longer than the format allows")
            self._stacks[numbers[first - 2]] = tuple(numbers[first:index])
            self._frame_count += count
        if self._frame_count > MAX_FRAMES:
            raise LimitExceeded(
                f"the stacks of the execution trace hold more than {MAX_FRAMES} frames in one second"
            )

    def string(self, number: int) -> str:
        """Text of string *number*, safe to print.

        Raises DecodeError when the table lacks it.
        """
        text = self._texts.get(number)
        if text is None:
            raw = self._strings.get(number)
            if raw is None:
                raise DecodeError(f"the execution trace lacks its string {number}")
            text = self._texts[number] = printable(raw.decode("utf-8", "surrogateescape"))
        return text

    def stack_key(self, number: int) -> StackKey:
        """What identifies stack *number* in every generation of this trace.

        Raises DecodeError when the table lacks it.
        """
        flat = self._flat(number)
        return flat[0::4] + flat[3::4]

    def stack(self, number: int) -> Stack:
        """The frames of stack *number*, innermost first.

        Raises DecodeError when the table lacks it or a name in it.
        """
        flat = self._flat(number)
        return tuple(
            Frame(
                function=self.string(flat[index + 1]),
                file=self.string(flat[index + 2]),
                line=flat[index + 3],
                pc=flat[index],
            )
            for index in range(0, len(flat), 4)
        )

    def _flat(self, number: int) -> tuple[int, ...]:
        flat = self._stacks.get(number)
        if flat is None:
            raise DecodeError(f"the execution trace lacks its stack {number}")
        return flat
