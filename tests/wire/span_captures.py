"""The recorded exports of tests/captures/spans (see tests/captures/make_spans/record.py), and spans as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).parent.parent / "captures" / "spans"


def recorded(name: str) -> bytes:
    """`shop.json`, `blind.json` or `shop.otlp.json`, gzip-compressed as it lies there."""
    return (CAPTURES / f"{name}.gz").read_bytes()


def truth() -> dict[str, int]:
    """What the recorded program itself counted: `opened` and `forgotten`."""
    counts: dict[str, int] = json.loads((CAPTURES / "shop.truth.json").read_text())
    return counts


def jaeger(*spans: dict[str, Any], service: str = "shop") -> bytes:
    """An export of Jaeger's form with one trace."""
    filled = [
        {"traceID": "t1", "spanID": f"s{index}", "operationName": "get", "processID": "p1", **span}
        for index, span in enumerate(spans)
    ]
    trace = {"traceID": "t1", "spans": filled, "processes": {"p1": {"serviceName": service}}}
    return json.dumps({"data": [trace]}).encode()


def tags(**values: Any) -> list[dict[str, Any]]:
    """`span__kind="client"` is the tag `span.kind`."""
    return [{"key": key.replace("__", "."), "value": value} for key, value in values.items()]


def log(name: str, key: str = "event", **fields: Any) -> dict[str, Any]:
    """A log whose field *key* says what happened."""
    return {"timestamp": 1_700_000_000_000_000, "fields": tags(**{key: name}, **fields)}
