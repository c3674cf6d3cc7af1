"""What may leave in a report, and what is masked on the way.

Law: nothing that a target could have chosen reaches a report except through `Redaction.text` or
`Redaction.url`: no control bytes, and, unless the user asked for secrets, no query values, user info or
credentials.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from leaktui.text import masked_url, printable

_MASK = "…"
_URL = re.compile(
    r"\b(?:https?|wss?|ftp|postgres(?:ql)?|mysql|redis|amqps?|mongodb(?:\+srv)?)://[^\s\"'<>`]+", re.I
)
# A path with a query stands alone where a request line is quoted: GET /users?token=abc.
_REQUEST_QUERY = re.compile(r"(?<![^\s\"'])(/[^\s\"'?]*)\?([^\s\"'<>`]+)")
_SECRET_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token|x-amz-security-token)(\s*[:=]\s*)[^\r\n|]+",
    re.I,
)
# `password=…`: with an equals sign only, or `main.refreshToken: 96 of 96` would lose its figure.
_SECRET_PAIR = re.compile(
    r"\b([\w-]*(?:passw(?:or)?d|secret|token|api[_-]?key)[\w-]*=)(?![…=])[^\s,;&|\"']+", re.I
)
_BEARER = re.compile(r"\b(bearer )(?=\S*\d)[A-Za-z0-9._~+/=-]{12,}", re.I)


@dataclass(frozen=True, slots=True)
class Redaction:
    """How strict a report is with what looks like a secret."""

    show_secrets: bool = False

    def text(self, text: str, limit: int = 4096) -> str:
        """*text* safe to print, with the secrets it quotes masked."""
        text = printable(text, limit)
        if self.show_secrets:
            return text
        text = _URL.sub(lambda match: self.url(match.group()), text)
        text = _REQUEST_QUERY.sub(lambda match: masked_url(match.group()), text)
        text = _SECRET_HEADER.sub(rf"\1\2{_MASK}", text)
        text = _BEARER.sub(rf"\1{_MASK}", text)
        return _SECRET_PAIR.sub(rf"\1{_MASK}", text)

    def name(self, text: str) -> str:
        """A symbol or a path: safe to print, but nothing in it is a secret to mask."""
        return printable(text)

    def url(self, url: str) -> str:
        """*url* with its query values and user info masked."""
        return masked_url(url, show_secrets=self.show_secrets)


MASKED = Redaction()
