"""An investigation of a capture: what was seen then, seen again.

Law: the same session and the same analysis as on a live process, in the recorded order and on the recorded clock; what
is concluded is what was concluded there. Nothing is ordered of anybody.
"""

from __future__ import annotations

import threading
import time

from leaktui.engines.capture_records import SourceFailed
from leaktui.engines.protocol import Fact, Want
from leaktui.engines.replay import Tape
from leaktui.errors import EngineError, TargetGone
from leaktui.investigation import Investigation, Listener
from leaktui.model.capability import Capability, SourceState
from leaktui.session import ProgressMade

_OPENING_SECONDS = 5.0
_TICK_SECONDS = 0.002


class ReplayedInvestigation(Investigation):
    """Plays *tape* within about *play_seconds* (its own pace, compressed; 0 for as fast as can be) and stays there.

    `played` is set when the end is reached.
    """

    def __init__(
        self, tape: Tape, listener: Listener = lambda event: None, *, play_seconds: float = 0.0
    ) -> None:
        super().__init__(
            tape.target,
            tape.engines,
            listener,
            load_program=lambda: tape.program,
            automatic=False,
            deadline_seconds=tape.header.seconds,
            cadence={},
            clock=tape.clock,
        )
        self.tape = tape
        self.played = threading.Event()
        self._play_seconds = play_seconds
        self._closing = threading.Event()
        self._player = threading.Thread(target=self._play, name="leaktui-replay", daemon=True)

    def start(self) -> None:
        """Begin to play."""
        super().start()
        self._player.start()

    def close(self) -> None:
        """Stop playing. Safe to call again."""
        self._closing.set()
        self.tape.finish()
        super().close()
        if self._player.ident is not None and self._player is not threading.current_thread():
            self._player.join(2.0)

    @property
    def shortfall(self) -> str:
        """What is missing at the end of the tape, a sentence; empty before the end, or where nothing is."""
        return self.tape.shortfall if self.played.is_set() else ""

    def knows(self, want: Want, subject: int) -> bool:
        """Whether the capture holds the answer to that question."""
        return any(engine.knows(want, subject) for engine in self.tape.engines)

    def _play(self) -> None:
        began = time.monotonic()
        pace = self._play_seconds / max(1.0, self.tape.header.seconds)
        for seconds, engine, value in self.tape.play():
            if self._closing.is_set():
                break
            ahead = began + seconds * pace - time.monotonic()
            if ahead > _TICK_SECONDS and self._closing.wait(ahead):
                break
            if isinstance(value, Capability):
                self._await_opening(engine.name)
            elif isinstance(value, SourceFailed):
                kind = TargetGone if value.gone else EngineError
                self.session.fail(engine, kind(value.message, remedy=value.remedy))
            elif isinstance(value, Fact):
                self.session.receive(engine, value)
        self.played.set()
        self._listener(ProgressMade("", "", 1.0))

    def _await_opening(self, name: str) -> None:
        """Wait until the session has taken in what the engine can do: facts come after it."""
        deadline = time.monotonic() + _OPENING_SECONDS
        while time.monotonic() < deadline and not self._closing.is_set():
            source = next((item for item in self.session.snapshot.sources if item.name == name), None)
            if source is None or source.state is not SourceState.WAITING or source.detail:
                return
            time.sleep(_TICK_SECONDS)


def conclude_capture(tape: Tape, *, stop: threading.Event | None = None) -> ReplayedInvestigation:
    """*tape* played to its end and judged. To be closed; *stop* ends it where it is."""
    investigation = ReplayedInvestigation(tape)
    investigation.start()
    while not investigation.played.wait(0.1):
        if stop is not None and stop.is_set():
            break
    investigation.conclude()
    return investigation
