"""What a response that is not what we asked for looks like, in words.

Law: only for error messages; nothing is decided by it but the sentence.
"""

from __future__ import annotations

import re

_GOROUTINE_HEADER = re.compile(rb"^goroutine \d+ (?:gp=|\[)", re.MULTILINE)
_COUNT_HEADER = re.compile(rb"^[\w./-]+ profile: total \d+\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def is_text(data: bytes) -> bool:
    """True when the beginning of *data* holds no byte that text never holds."""
    return _CONTROL.search(data[:512]) is None


def name_payload(data: bytes) -> str:
    """A noun phrase for *data*: `an HTML page`, `plain text`, `an execution trace`, …"""
    head = data[:4096].lstrip()
    if not data:
        return "an empty response"
    if data[:2] == b"\x1f\x8b":
        return "gzip data"
    if data[:3] == b"go " and b" trace\0" in data[:16]:
        return "an execution trace"
    if data[:4] == b"\x7fELF":
        return "an executable"
    if not is_text(data):
        return "binary data of another kind"
    lowered = head[:256].lower()
    if lowered.startswith((b"<!doctype html", b"<html")) or b"<head" in lowered or b"<body" in lowered:
        return "an HTML page"
    if head[:1] in (b"{", b"["):
        return "JSON"
    if head[:1] == b"<":
        return "XML"
    if head.startswith(b"heap profile: "):
        return "a heap profile in text form (debug=1)"
    if _COUNT_HEADER.match(head):
        return "a profile in text form (debug=1)"
    if _GOROUTINE_HEADER.search(head):
        return "a goroutine dump (debug=2)"
    return "plain text" if head else "blank text"
