"""What the books of probes say of response bodies: the strongest of the looks at who leaves them open.

Law: pairing proves. A body that was opened with a chain of calls, and neither closed nor read to its end while
others were, needs no trend to be a leak; who owns it is told as everywhere (`attribution`).
"""

from __future__ import annotations

from collections.abc import Sequence

from leaktui.analysis.handoffs import Fate, JudgedHandoff, OwnerTally
from leaktui.analysis.ledger_accounts import Account, balance
from leaktui.analysis.program import Program
from leaktui.model.finding import Evidence
from leaktui.model.ledger import Ledger, LedgerKind
from leaktui.model.snapshot import Snapshot
from leaktui.model.trace import BodyHandoff
from leaktui.text import format_count, short_function

_OTHERS_NAMED = 2
_LEAST_LEFT = 3
_OWNERS_ASKED = 2
_ASKED = 3


def body_accounts(snapshot: Snapshot, program: Program) -> tuple[Account, ...]:
    """The accounts of all who open bodies; empty where no books were kept."""
    ledger = snapshot.ledger(LedgerKind.BODIES)
    return balance(ledger, snapshot, program) if ledger is not None else ()


def bodies_to_ask(accounts: Sequence[Account], snapshot: Snapshot) -> tuple[int, ...]:
    """Addresses of bodies whose holders would settle who is guilty: a few of the oldest of each who leaves some."""
    known = {search.subject for search in snapshot.holders if search.done}
    guilty = [account for account in accounts if len(account.left) >= _LEAST_LEFT]
    return tuple(
        item.key
        for account in guilty[:_OWNERS_ASKED]
        for item in sorted(account.left, key=lambda item: item.time)[:_ASKED]
        if item.key not in known
    )


def tallies_of(accounts: Sequence[Account], ledger: Ledger) -> tuple[OwnerTally, ...]:
    """*accounts* in the form that all looks at bodies share."""
    return tuple(
        OwnerTally(
            account.attribution,
            account.stack,
            account.protocol or "HTTP/1",
            opened=account.opened,
            released=account.closed + account.ended,
            left_open=account.left_open,
            busy=account.in_use,
            young=account.young,
            seconds=ledger.seconds,
            callers_ended=account.callers_ended,
            release_seconds=list(account.closing_seconds),
        )
        for account in accounts
        if account.attribution is not None
    )


def judged_of(accounts: Sequence[Account], snapshot: Snapshot) -> tuple[JudgedHandoff, ...]:
    """Who opened the bodies that memory lists, by the goroutine that waits for each."""
    ledger = snapshot.ledger(LedgerKind.BODIES)
    if ledger is None or snapshot.bodies is None:
        return ()
    owners = {place: account.attribution for account in accounts for place in account.places}
    left = {item.key for account in accounts for item in account.left}
    items = {item.key: item for item in ledger.open}
    judged = []
    for body in snapshot.bodies.bodies:
        item = items.get(body.body) if body.body and body.holder_goid else None
        if item is None:
            continue
        handoff = BodyHandoff(
            body.holder_goid, item.goid, round(item.time * 1e9), ledger.places[item.place].stack
        )
        fate = Fate.LEFT_OPEN if item.key in left else Fate.IN_USE
        judged.append(JudgedHandoff(handoff, fate, owners.get(item.place), ledger.time - item.time))
    return tuple(judged)


def pairing_evidence(account: Account, others: Sequence[Account], ledger: Ledger) -> list[Evidence]:
    """The proof in figures, and its counterpart: how others fare that open bodies as well."""
    share = f"{format_count(account.left_open)} of {format_count(account.known)}"
    text = f"{share} bodies opened here in {ledger.seconds:.0f} s were never closed"
    closed = account.closed
    if account.ended:
        text += f"; {format_count(account.ended)} of the rest were read to the end without Close"
    evidence = [Evidence("probes", text)]
    if account.collected:
        evidence.append(
            Evidence(
                "probes",
                f"{format_count(account.collected)} of them were collected unclosed: their memory went to others",
            )
        )
    if account.lost:
        evidence.append(
            Evidence(
                "memory",
                f"{account.lost} of {_ASKED} looked for are out of reach: nothing of the program's leads to them",
            )
        )
    if closed and account.closing_seconds:
        slowest = max(account.closing_seconds)
        evidence.append(Evidence("probes", f"those that were closed were open for {slowest:.2g} s at most"))
    good = [item for item in others if item is not account and item.known and not item.left_open]
    good.sort(key=lambda item: -item.known)
    for other in good[:_OTHERS_NAMED]:
        if other.attribution is not None:
            frame = other.attribution.frame
            place = f"{frame.file.rpartition('/')[2]}:{frame.line}"
            count = f"{format_count(other.known)} of {format_count(other.known)}"
            evidence.append(
                Evidence(
                    "probes",
                    f"{count} opened at {place} ({short_function(frame.function)}) were closed"
                    + (" or read to the end" if other.ended else ""),
                )
            )
    if ledger.dropped:
        evidence.append(
            Evidence(
                "probes", f"{format_count(ledger.dropped)} hits were lost: the count may be off by so many"
            )
        )
    return evidence
