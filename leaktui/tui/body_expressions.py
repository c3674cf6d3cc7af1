"""What is worth asking a debugger of a response body, as expressions. Pure.

Layouts: net/http/transport.go (`bodyEOFSignal`, `persistConn`, `readLoop`) of Go 1.22–1.27.
"""

from __future__ import annotations

from leaktui.model.body import BodyHolder
from leaktui.tui.links import ExpressionLink
from leaktui.tui.value_lines import Suggestion


def body_suggestions(body: BodyHolder, *, read_loop_frame: int = 0) -> tuple[Suggestion, ...]:
    """Expressions for *body*: through its address, its connection, and the goroutine that waits for it.

    *read_loop_frame* is the index of `readLoop` in that goroutine's stack.
    """
    found: list[Suggestion] = []

    def add(label: str, expression: str, frame_index: int = 0) -> None:
        found.append(Suggestion(label, ExpressionLink(expression, body.goid, frame_index)))

    if body.address and not body.stream:
        signal = f'(*(*"net/http.bodyEOFSignal")({body.address:#x}))'
        add("closed?", f"{signal}.closed")
        add("how the last Read ended", f"{signal}.rerr")
        add("the whole body", signal)
    if body.goid and not body.stream:
        add("response", "resp", read_loop_frame)
        add("status", "resp.StatusCode", read_loop_frame)
        add("host asked", "resp.Request.URL.Host", read_loop_frame)
        add("path asked", "resp.Request.URL.Path", read_loop_frame)
    if body.connection and not body.stream:
        connection = f'(*(*"net/http.persistConn")({body.connection:#x}))'
        add("its connection", connection)
        add("connection closed by", f"{connection}.closed")
    return tuple(found)
