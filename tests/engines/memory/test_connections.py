"""Addresses of sockets as the kernel's tables spell them. What is read from memory: test_http1_bodies."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from leaktui.engines.memory.connections import format_host


@pytest.mark.parametrize(
    ("address", "zone", "text"),
    [
        (ip_address("127.0.0.1").packed, "", "127.0.0.1"),
        (ip_address("::ffff:10.0.0.7").packed, "", "10.0.0.7"),
        (ip_address("::1").packed, "", "[::1]"),
        (ip_address("fe80::1").packed, "eth0", "[fe80::1%eth0]"),
        (ip_address("::").packed, "", "[::]"),
        (b"", "", ""),
        (b"12345", "", ""),
    ],
)
def test_a_host_before_its_port(address: bytes, zone: str, text: str) -> None:
    assert format_host(address, zone) == text
