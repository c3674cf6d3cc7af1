"""An open response body as lines: what is known of it, who reads it, and who holds it. Pure."""

from __future__ import annotations

from leaktui.model.body import BodyHolder
from leaktui.model.goroutine import Goroutine
from leaktui.text import format_bytes, format_duration, masked_url, printable
from leaktui.tui.details import field, goroutine_line, stack_lines
from leaktui.tui.holder_lines import HolderLook, holders_lines
from leaktui.tui.links import GoroutineLink
from leaktui.tui.widgets.columns import UNKNOWN
from leaktui.tui.widgets.document import DocLine
from leaktui.tui.widgets.toned import Span
from leaktui.tui.wording import CONFIDENCE_TONES, frame_path, function_name, heading

ORPHANED = "the garbage collector has freed it: nobody can close it any more"


def searched_address(body: BodyHolder) -> int:
    """The object whose holders tell why *body* stays open: its own, or its connection's once it was freed."""
    return body.connection if body.orphaned or not body.address else body.address


def waiting_bytes(body: BodyHolder) -> int | None:
    """Bytes that have arrived and were not read, in the client and in the kernel; None where not seen."""
    known = [count for count in (body.buffered_bytes, body.kernel_bytes) if count is not None]
    return sum(known) if known else None


def body_lines(
    body: BodyHolder,
    goroutine: Goroutine | None,
    look: HolderLook | None = None,
    *,
    unknown_owner: str = "not known yet",
) -> list[DocLine]:
    """A suspected holder of an unclosed body. Cells no source has seen stay dashes.

    *goroutine* waits for Close; *look* is the search for what holds the body; *unknown_owner* is said where
    the owner is not known.
    """
    first: list[Span] = [
        (body.state.value, "strong"),
        (f" · {body.confidence.value}", CONFIDENCE_TONES[body.confidence]),
    ]
    if body.orphaned:
        first.insert(0, ("orphaned · ", "danger"))
    request = f"{printable(body.method, 20)} {masked_url(body.url)}".strip()
    lines = [DocLine(tuple(first))]
    if body.orphaned:
        lines.append(field("orphaned", ORPHANED, "danger"))
    lines += [
        field("request", request or UNKNOWN),
        field("response", _response(body)),
        field("connection", _connection(body)),
        field("age", format_duration(body.age_seconds) if body.age_seconds is not None else UNKNOWN),
        field("length", _length(body)),
        field("waiting", _waiting(body)),
        field("seen by", ", ".join(printable(source, 40) for source in body.sources) or UNKNOWN),
    ]
    if body.owner is not None:
        owner = f"{function_name(body.owner.function)}  {frame_path(body.owner)}"
        lines.append(field("owner", owner, "plain" if body.owner_inferred else "strong", body.owner))
        if body.owner_inferred:
            text = "taken from the others that answer the same request: it was not seen with this one"
            lines.append(field("", text, "muted"))
    else:
        lines.append(field("owner", unknown_owner, "muted"))
    if body.reader_goid is not None:
        link = GoroutineLink(body.reader_goid)
        lines.append(field("read by", f"goroutine {body.reader_goid}", target=link))
    if look is not None:
        of_connection = body.connection != 0 and look.address == body.connection
        lines += holders_lines(look, "Who holds its connection" if of_connection else "Who holds it")
    if goroutine is not None:
        lines += [
            DocLine(),
            DocLine(heading("The goroutine that waits for Close")),
            goroutine_line(goroutine),
        ]
    if body.stack:
        lines += [DocLine(), DocLine(heading("Opened by")), *stack_lines(body.stack, body.owner)]
    return lines


def _response(body: BodyHolder) -> str:
    """`status 503, HTTP/1.1 over TLS`, as far as it is known."""
    status = f"status {body.status}" if body.status is not None else ""
    protocol = (
        f"{printable(body.protocol, 20) or 'HTTP'} over TLS" if body.tls else printable(body.protocol, 20)
    )
    return ", ".join(filter(None, (status, protocol))) or UNKNOWN


def _connection(body: BodyHolder) -> str:
    fd = f"fd {body.fd}" if body.fd is not None else ""
    return ", ".join(filter(None, (printable(body.peer, 200), fd))) or UNKNOWN


def _length(body: BodyHolder) -> str:
    if body.content_length is not None:
        return f"{format_bytes(body.content_length)} declared"
    # What lies in memory says whether a length was declared; other sources do not see it.
    return "not declared" if body.address or body.connection else UNKNOWN


def _waiting(body: BodyHolder) -> str:
    places = ((body.buffered_bytes, "in the client"), (body.kernel_bytes, "in the kernel"))
    return (
        ", ".join(f"{format_bytes(count)} {where}" for count, where in places if count is not None) or UNKNOWN
    )
