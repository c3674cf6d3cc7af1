"""What a pane lists as a pprof profile, for the file beside its table.

Law: the encoder is imported on the first export. Query values and user info are masked, as in the table.
"""

from __future__ import annotations

import time

from leaktui.model.ledger import LedgerKind
from leaktui.tui.facts import Facts


def goroutines_profile(facts: Facts) -> bytes:
    """All goroutines by stack."""
    from leaktui.report.pprof_form import GOROUTINES, format_pprof

    return format_pprof(
        facts.snapshot,
        facts.assessment,
        build_id=_build_id(facts),
        time_ns=time.time_ns(),
        only=(GOROUTINES,),
    )


def bodies_profile(facts: Facts) -> bytes:
    """All open bodies by owner."""
    from leaktui.report.pprof_form import OPEN_BODIES, format_pprof

    return format_pprof(
        facts.snapshot,
        facts.assessment,
        build_id=_build_id(facts),
        time_ns=time.time_ns(),
        only=(OPEN_BODIES,),
    )


def heap_profile(facts: Facts) -> bytes | None:
    """The live heap by allocation site; None where no profile of it was seen."""
    from leaktui.report.pprof_form import LIVE_BYTES, format_pprof

    if facts.snapshot.heap is None:
        return None
    return format_pprof(
        facts.snapshot,
        facts.assessment,
        build_id=_build_id(facts),
        time_ns=time.time_ns(),
        only=(LIVE_BYTES,),
    )


def ledger_profile(facts: Facts, kind: LedgerKind) -> bytes | None:
    """The books of probes by chain of calls; None where none were kept."""
    from leaktui.report.pprof_form import format_ledger_pprof

    ledger = facts.snapshot.ledger(kind)
    if ledger is None:
        return None
    target = facts.snapshot.target
    return format_ledger_pprof(ledger, exe=target.exe, build_id=_build_id(facts), time_ns=time.time_ns())


def _build_id(facts: Facts) -> str:
    """The build id of the target's executable; empty where the target has exited."""
    from leaktui.engines.proc_build_id import read_process_build_id

    return read_process_build_id(facts.snapshot.target.pid) if facts.exited is None else ""
