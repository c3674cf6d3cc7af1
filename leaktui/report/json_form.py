"""The contract `leaktui.diagnosis/1`.

Law: keys and their order are the contract's and never change meaning; what is added is added beside them.
A thing not known is null, never an invented value. ASCII only, so that any pipe and locale carries it.
"""

from __future__ import annotations

import json
import math
from typing import Any

from leaktui.model.explanation import Explanation
from leaktui.model.finding import Diagnosis, Finding
from leaktui.model.frame import Frame
from leaktui.report.explained import diff_lines, explain_suspect
from leaktui.report.phrases import format_source_detail
from leaktui.report.redaction import MASKED, Redaction
from leaktui.sources import HERE, Sources

SCHEMA = "leaktui.diagnosis/1"


def format_json(diagnosis: Diagnosis, *, sources: Sources = HERE, redaction: Redaction = MASKED) -> str:
    """*diagnosis* as one JSON document, indented, ending with a line break."""
    document = diagnosis_document(diagnosis, sources=sources, redaction=redaction)
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def diagnosis_document(
    diagnosis: Diagnosis, *, sources: Sources = HERE, redaction: Redaction = MASKED
) -> dict[str, Any]:
    """*diagnosis* as plain dicts and lists, in the contract's key order."""
    target = diagnosis.target
    sources = sources.of_module(target.module)
    target_document: dict[str, Any] = {
        "pid": target.pid,
        "exe": redaction.name(target.exe),
        "go_version": redaction.name(target.go_version),
        "module": redaction.name(target.module),
        "stripped": target.stripped,
    }
    if target.url is not None:
        target_document["url"] = redaction.url(target.url)
    return {
        "schema": SCHEMA,
        "target": target_document,
        "sources": [
            {
                "name": redaction.name(source.name),
                "state": source.state.value,
                "detail": format_source_detail(source, redaction),
                "pause_ms": _tidy(source.pause_ms),
            }
            for source in diagnosis.sources
        ],
        "verdict": diagnosis.verdict.value,
        "suspects": [_suspect(finding, sources, redaction) for finding in diagnosis.suspects],
        "elapsed_seconds": _decimal(diagnosis.elapsed_seconds),
        "target_pause_ms": _tidy(diagnosis.target_pause_ms),
        "notes": [redaction.text(note) for note in diagnosis.notes],
    }


def _suspect(finding: Finding, sources: Sources, redaction: Redaction) -> dict[str, Any]:
    location = finding.location
    return {
        "kind": finding.kind.value,
        "confidence": finding.confidence.value,
        "function": redaction.name(finding.function),
        "file": redaction.name(location.file) if location and location.file else None,
        "line": location.line if location and location.line > 0 else None,
        "stack": [_frame(frame, redaction) for frame in finding.stack],
        "count": finding.count,
        "growth_per_minute": _decimal(finding.growth_per_minute),
        "created_by": _frame(finding.created_by, redaction) if finding.created_by else None,
        "evidence": [
            {"source": redaction.name(item.source), "text": redaction.text(item.text)}
            for item in finding.evidence
        ],
        "advice": redaction.text(finding.advice),
        "candidates": [_frame(frame, redaction) for frame in finding.candidates],
        "explanation": explanation_document(
            explain_suspect(finding, sources).explanation, redaction=redaction
        ),
    }


def explanation_document(found: Explanation | None, *, redaction: Redaction) -> dict[str, Any] | None:
    """Why it leaks as its source says; null where the source is not at hand, or does not say."""
    if found is None:
        return None
    return {
        "reason": found.reason.value,
        "text": redaction.text(found.text),
        "certain": found.certain,
        "function": redaction.name(found.function),
        "file": redaction.name(found.file),
        "line": found.acquire_line,
        "first_line": found.first_line,
        "last_line": found.last_line,
        "marks": [{"line": mark.line, "note": redaction.text(mark.note)} for mark in found.marks],
        "diff": "".join(line + "\n" for line in diff_lines(found, redaction)),
        "diff_certain": found.diff_certain,
        "seen": [redaction.text(sentence) for sentence in found.seen],
    }


def _frame(frame: Frame, redaction: Redaction) -> dict[str, Any]:
    return {
        "function": redaction.name(frame.function),
        "file": redaction.name(frame.file) if frame.file else None,
        "line": frame.line if frame.line > 0 else None,
    }


def _decimal(value: float | None) -> float | None:
    return round(float(value), 1) if value is not None and math.isfinite(value) else None


def _tidy(value: float) -> float | int | None:
    """One decimal; a whole number without its `.0`. Rounded up: a pause is never told smaller than it was."""
    if not math.isfinite(value):
        return None
    tenths = math.ceil(value * 10 - 1e-6) / 10
    return int(tenths) if tenths == int(tenths) else tenths
