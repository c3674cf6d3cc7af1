"""Response heads as they lie in a buffer, whole or not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leaktui.engines.memory.response_head import ResponseHead, decode_response_head


def test_a_head_is_decoded_up_to_the_empty_line() -> None:
    head = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Content-Length:  17 \r\n\r\n"
    )
    assert decode_response_head(head + b"Content-Length: 5") == ResponseHead(
        "HTTP/1.1", 404, len(head), None, 784111777.0
    )
    head = head.replace(b"17 ", b"17")
    assert decode_response_head(head) == ResponseHead("HTTP/1.1", 404, len(head), 17, 784111777.0)


def test_interim_responses_come_before_the_head() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nDate: x\r\n\r\n"
    last = b"HTTP/1.0 200\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
    assert decode_response_head(early + last) == ResponseHead("HTTP/1.0", 200, len(early + last), None, None)
    assert decode_response_head(early) is None
    switching = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    assert decode_response_head(switching) == ResponseHead("HTTP/1.1", 101, len(switching), None, None)


def test_what_is_no_whole_head_is_none() -> None:
    whole = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
    assert decode_response_head(whole) is not None
    for end in range(len(whole)):
        assert decode_response_head(whole[:end]) is None
    for text in (b"HTTP/2 200\r\n\r\n", b" " + whole, b"HTTP/1.1 20 OK\r\n\r\n", b"{}\r\n\r\n", b"\r\n\r\n"):
        assert decode_response_head(text) is None


def test_a_head_without_fields_ends_at_once() -> None:
    assert decode_response_head(b"HTTP/1.1 200 OK\r\n\r\nmore") == ResponseHead(
        "HTTP/1.1", 200, 19, None, None
    )


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_anything_is_survived(before: bytes, after: bytes) -> None:
    for data in (
        before,
        b"HTTP/1.1 200 OK\r\nDate: " + before + b"\r\nContent-Length: " + after + b"\r\n\r\n",
    ):
        head = decode_response_head(data)
        assert head is None or 0 < head.size <= len(data)
