"""What is worth asking a debugger of a response body, as expressions. Pure.

Layouts: net/http/transport.go (`bodyEOFSignal`, `persistConn`, `readLoop`) of Go 1.22–1.27.
"""

from __future__ import annotations

from leaktui.model.body import BodyHolder
from leaktui.tui.links import ExpressionLink
from leaktui.tui.value_lines import Suggestion


def body_suggestions(body: BodyHolder, *, read_loop_frame: int | None = None) -> tuple[Suggestion, ...]:
    """Expressions for *body*: through its address, its connection, and the goroutine that waits for it.

    *read_loop_frame* is the index of `readLoop` in that goroutine's stack, None where it was not seen.
    """
    found: list[Suggestion] = []

    def add(label: str, expression: str, frame_index: int = 0) -> None:
        found.append(Suggestion(label, ExpressionLink(expression, body.goid, frame_index)))

    if body.request:
        request = f'(*(*"net/http.Request")({body.request:#x}))'
        add("method", f"{request}.Method")
        add("host asked", f"{request}.URL.Host")
        add("path asked", f"{request}.URL.Path")
        add("whole request", request)
    if body.address and not body.stream:
        signal = f'(*(*"net/http.bodyEOFSignal")({body.address:#x}))'
        add("closed?", f"{signal}.closed")
        add("how its Read ended", f"{signal}.rerr")
        add("whole body", signal)
    if read_loop_frame is not None and not body.stream and not body.orphaned:
        # The frame may hold on to it longer than the collector does.
        add("status, maybe stale", "resp.StatusCode", read_loop_frame)
        add("response, maybe stale", "resp", read_loop_frame)
    if body.connection and not body.stream:
        connection = f'(*(*"net/http.persistConn")({body.connection:#x}))'
        add("connection", connection)
        add("why it was closed", f"{connection}.closed")
    return tuple(found)
