"""What is masked in a report, and what must not be."""

from __future__ import annotations

import pytest

from leaktui.report.redaction import MASKED, Redaction

SECRETS = {
    "GET http://bob:pw@api.example:8080/v1/users?id=7&token=abc answered 500": (
        "GET http://api.example:8080/v1/users?id=…&token=… answered 500"
    ),
    "the request 'GET /login?next=%2F&otp=123456' was never answered": (
        "the request 'GET /login?next=…&otp=…' was never answered"
    ),
    "Authorization: Basic dXNlcjpodW50ZXIy": "Authorization: …",
    "sent with bearer eyJhbGciOiJIUzI1NiJ9.e30": "sent with bearer …",
    "Set-Cookie: sid=42; Path=/ | next cell": "Set-Cookie: …| next cell",
    "postgres://app:hunter2@db/shop?sslmode=disable": "postgres://db/shop?sslmode=…",
    "exec app db_password=hunter2 -v": "exec app db_password=… -v",
}

INNOCENT = (
    "main.refreshToken: 96 of 96 bodies were never closed",
    "wants basic authentication or a bearer authentication-scheme: give --user or --token-env",
    "net/http.(*persistConn).readLoop blocked for 3 minutes, +12/min",
    "/src/app/main.go:24",
    "127.0.0.1:8080 → [::1]:6060",
    "https://go.dev/doc/diagnostics",
)


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_masked(text: str) -> None:
    assert MASKED.text(text) == SECRETS[text]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret_stays(text: str) -> None:
    assert MASKED.text(text) == text


def test_secrets_are_shown_to_who_asks() -> None:
    for text in SECRETS:
        assert Redaction(show_secrets=True).text(text) == text


def test_masking_twice_changes_nothing() -> None:
    for masked in SECRETS.values():
        assert MASKED.text(masked) == masked
