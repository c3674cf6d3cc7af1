"""`leaktui demo`: a service that leaks, and the walkthrough on it, up to the repaired build.

Law: the demo's processes end with leaktui, however it ends.
"""

from __future__ import annotations

import argparse
import copy
import signal
import threading
from types import FrameType

from leaktui.cli.exit_status import ExitStatus
from leaktui.cli.output import ProgressLine, say, write_answer
from leaktui.cli.screens import refuse_without_terminal, show_target
from leaktui.demo import CAPTURE, DemoService
from leaktui.errors import EngineUnavailable, LeaktuiError


class Demonstration:
    """The leaking service, and the repaired one once it has taken over."""

    def __init__(self, service: DemoService, options: argparse.Namespace) -> None:
        self._leaking = service
        self._mended: DemoService | None = None
        self._options = options
        self._ended = False
        self._lock = threading.Lock()

    def swap(self) -> argparse.Namespace:
        """Start the repaired build and end the leaking one; the options that name what runs now.

        Raises LeaktuiError when it does not start.
        """
        with self._lock:
            if self._ended:
                raise LeaktuiError("the demo has ended", remedy="start it again")
            if self._mended is None:
                mended = DemoService(self._leaking.leak, rate=self._leaking.rate, fixed=True)
                mended.start()
                self._mended = mended
                self._leaking.stop()
            options = copy.copy(self._options)
            options.pid, options.url = self._mended.pid, self._mended.pprof_url
            return options

    def stop(self) -> None:
        """End whatever runs."""
        with self._lock:
            self._ended = True
            self._leaking.stop()
            if self._mended is not None:
                self._mended.stop()


def run_demo(options: argparse.Namespace) -> ExitStatus:
    """Start the demo and look at it; where it cannot be built, at a recording of it. Raises LeaktuiError."""
    if not options.headless and not options.plain:
        refuse_without_terminal(
            "run `leaktui demo --plain`, or `leaktui demo --headless` and, beside it, `leaktui diagnose --pid`"
        )
    line = ProgressLine()
    service = DemoService(options.leak, rate=options.rate, progress=line.show)
    try:
        service.start()
    except EngineUnavailable as error:
        line.clear()
        if options.headless or options.plain or not CAPTURE.is_file():
            raise
        return _show_recording(options, error)
    finally:
        line.clear()
    demonstration = Demonstration(service, options)
    try:
        if options.headless:
            return _serve(service)
        options.pid, options.url = service.pid, service.pprof_url
        if options.plain:
            from leaktui.cli.guiding import guide_through

            return guide_through(options, swap=demonstration.swap, brief=options.demo_fix)
        return show_target(options, swap=demonstration.swap)
    finally:
        demonstration.stop()


def _show_recording(options: argparse.Namespace, error: EngineUnavailable) -> ExitStatus:
    """The recorded demo, with a sentence on why."""
    from leaktui.cli.opening import show_tape
    from leaktui.engines.replay import Tape

    sentence = f"the demo cannot be run here ({error.args[0]}), so this is a recording of it"
    if options.leak != "body":
        sentence += ", leaking response bodies"
    status = show_tape(Tape(str(CAPTURE)), options, notice=sentence)
    say(sentence + (f": {error.remedy}" if error.remedy else ""))
    return status


def _serve(service: DemoService) -> ExitStatus:
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    write_answer(f"{service.pid}\n")
    say(f"the demo leaks ({service.leak}) as pid {service.pid}, pprof at {service.pprof_url}; Ctrl-C ends it")
    while not ended.wait(0.5):
        if not service.alive:
            say("the demo has ended by itself: start it again")
            return ExitStatus.CANNOT_INSPECT
    return ExitStatus.CLEAN
