"""What probes would see of the leaking shop, as data: bodies, descriptors and large allocations, moment by moment.

Law: pure arithmetic on the number of the moment, as in the scenario itself. A moment is five seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.engines.fake import Delay, Script
from leaktui.engines.protocol import LEDGERS, LedgerSeen
from leaktui.model.frame import Stack
from leaktui.model.ledger import Ledger, LedgerKind, LedgerPlace, Opened

_MOMENT_SECONDS = 5.0
_FOR_EVER = 10 * 365 * 86_400.0
_PROBES = {LedgerKind.BODIES: 41, LedgerKind.FDS: 9, LedgerKind.ALLOCATIONS: 4}
_BODY, _SPACING = 0xC000400000, 0x140


@dataclass(frozen=True, slots=True)
class ShopLedgers:
    """The books of a shop that leaves *step* bodies, each with its connection, open at every moment.

    *leaking*, *healthy*, *dialling* and *buffering* are the chains of calls that open its bodies, descriptors and
    large buffers.
    """

    step: int
    leaking: Stack
    healthy: Stack
    dialling: Stack
    buffering: Stack

    def ledger(self, kind: LedgerKind, moment: int, *, armed: bool = True) -> Ledger:
        """The books *moment* moments after the probes were armed."""
        places, opened = {
            LedgerKind.BODIES: self._bodies,
            LedgerKind.FDS: self._fds,
            LedgerKind.ALLOCATIONS: self._allocations,
        }[kind](moment)
        now = moment * _MOMENT_SECONDS
        return Ledger(
            kind,
            began=0.0,
            time=now,
            places=places,
            open=opened,
            hits=sum(place.opened + place.closed + place.ended for place in places),
            probes=_PROBES[kind],
            points=tuple((index * _MOMENT_SECONDS, self.step * index) for index in range(moment + 1)),
            armed=armed,
        )

    def script(self, moments: int) -> Script:
        """One capture of each kind that plays *moments* moments a second apart, and then stays armed."""
        return {
            want: [
                [
                    step
                    for moment in range(moments)
                    for step in (LedgerSeen(self.ledger(kind, moment)), Delay(1.0))
                ]
                + [Delay(_FOR_EVER), LedgerSeen(self.ledger(kind, moments - 1, armed=False))]
            ]
            for kind, want in LEDGERS.items()
        }

    def _bodies(self, moment: int) -> tuple[tuple[LedgerPlace, ...], tuple[Opened, ...]]:
        left, closed = self.step * moment, 2 * self.step * moment
        places = (
            LedgerPlace(self.leaking, left + closed, closed, closing_seconds=(0.003, 0.004, 0.004, 0.006)),
            LedgerPlace(self.healthy, 8 * moment, 7 * moment, moment, closing_seconds=(0.012, 0.011, 0.015)),
        )
        opened = tuple(
            Opened(
                _BODY + index * _SPACING,
                (index // max(1, self.step) + 0.5) * _MOMENT_SECONDS,
                0,
                goid=500 + index,
                method="GET",
                url=f"http://prices.internal/v1/items/{7000 + index}?key=hunter2",
                status=503,
                protocol="HTTP/1.1",
                content_length=18_211,
            )
            for index in range(left)
        )
        return places, opened

    def _fds(self, moment: int) -> tuple[tuple[LedgerPlace, ...], tuple[Opened, ...]]:
        left = self.step * moment
        places = (LedgerPlace(self.dialling, left + 2 * moment, 2 * moment, closing_seconds=(0.8, 1.1)),)
        opened = tuple(
            Opened(
                19 + index, (index // max(1, self.step) + 0.5) * _MOMENT_SECONDS, 0, 50 + index, name="tcp"
            )
            for index in range(left)
        )
        return places, opened

    def _allocations(self, moment: int) -> tuple[tuple[LedgerPlace, ...], tuple[Opened, ...]]:
        place = LedgerPlace(self.buffering, 3 * moment, collected=3 * moment, bytes=3 * moment << 16)
        return (place,), ()
