"""The connection behind an HTTP/1 body, by what the closure that readLoop made for it has captured.

Law: which of the captured variables is the connection is learnt once and by proof: its bufio.Reader reads from it
(net/http/transport.go `dialConn`, Go 1.21 to 1.27).
"""

from __future__ import annotations

from leaktui.engines.memory.reader import MemoryReader
from leaktui.engines.memory.struct_view import read_struct
from leaktui.engines.probes.body_layout import BodyLayout
from leaktui.errors import DecodeError, TargetGone


class BodyConnections:
    """Finds the http.persistConn of bodies of one process. Not thread-safe."""

    def __init__(self, memory: MemoryReader, layout: BodyLayout) -> None:
        self._memory = memory
        self._layout = layout
        self._place: int | None = None

    def find(self, captured: tuple[int, ...]) -> int:
        """The address of the connection among *captured*, 0 where it is not known."""
        if not captured:
            return 0
        if self._place is None:
            self._place = next((place for place, word in enumerate(captured) if self._is_one(word)), None)
        return 0 if self._place is None else captured[self._place]

    def is_closed(self, address: int) -> bool:
        """Whether the connection that was at *address* is closed now, or has gone.

        It is only freed, and its place given to something else, when it was closed before.
        """
        layout = self._layout.connection
        if layout is None or "closed" not in layout.fields:
            return False
        try:
            return read_struct(self._memory, layout, address).word("closed") != 0
        except (DecodeError, TargetGone):
            return False

    def _is_one(self, address: int) -> bool:
        layout, reader = self._layout.connection, self._layout.reader
        if layout is None or reader is None:
            return False
        try:
            connection = read_struct(self._memory, layout, address)
            return read_struct(self._memory, reader, connection.word("br")).words("rd")[1] == address
        except (DecodeError, TargetGone):
            return False
