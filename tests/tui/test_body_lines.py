"""A body's document, as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaktui.model.body import BodyHolder, BodyState
from leaktui.model.finding import Confidence
from leaktui.tui.body_lines import ORPHANED, body_lines, searched_address, waiting_bytes
from leaktui.tui.holder_lines import HolderLook
from leaktui.tui.links import GoroutineLink, HoldersLink
from tests.tui.documents import targets_of, text_of
from tests.tui.scene import BODIES, BODY, GOROUTINES, HELD_BODY, ORPHANED_BODY, OWNER

BARE = BodyHolder(1, "", BodyState.OPEN, Confidence.POSSIBLE)


def test_a_body_masks_its_query_and_leads_to_its_owner_and_goroutine() -> None:
    lines = body_lines(BODIES[0], GOROUTINES[0])
    assert "users/1000?token=…" in text_of(lines) and "secret" not in text_of(lines)
    assert OWNER in targets_of(lines) and GOROUTINES[0] in targets_of(lines)


def test_what_no_source_sees_of_a_body_stays_a_dash() -> None:
    text = text_of(body_lines(BARE, None, unknown_owner="who knows"))
    assert text.count("–") == 7
    assert "owner       who knows" in text
    assert "holds" not in text and "declared" not in text


def test_what_memory_tells_of_a_body() -> None:
    lines = body_lines(HELD_BODY, None)
    text = text_of(lines)
    for part in (
        "part read · proven",
        "status 503, HTTP/1.1 over TLS",
        "10.0.3.17:443, fd 20",
        "12.4 kB declared",
        "2.0 kB in the client, 8.4 kB in the kernel",
        "read by     goroutine 18",
    ):
        assert part in text
    assert GoroutineLink(18) in targets_of(lines)
    assert "orphaned" not in text


def test_an_orphaned_body_says_what_that_means_and_its_connection_is_searched() -> None:
    look = HolderLook(searched_address(ORPHANED_BODY), offered=True)
    lines = body_lines(ORPHANED_BODY, None, look)
    text = text_of(lines)
    assert text.startswith("orphaned · unread") and ORPHANED in text
    assert "Who holds its connection" in text and "not declared" in text
    assert HoldersLink(ORPHANED_BODY.connection) in targets_of(lines)


def test_a_body_in_use_is_searched_itself() -> None:
    assert searched_address(HELD_BODY) == BODY
    assert searched_address(replace(HELD_BODY, address=0)) == HELD_BODY.connection
    assert searched_address(BARE) == 0


@pytest.mark.parametrize(
    ("client", "kernel", "waiting"), [(None, None, None), (0, None, 0), (None, 7, 7), (2, 3, 5)]
)
def test_waiting_bytes_are_those_of_both_places(
    client: int | None, kernel: int | None, waiting: int | None
) -> None:
    assert waiting_bytes(replace(BARE, buffered_bytes=client, kernel_bytes=kernel)) == waiting
