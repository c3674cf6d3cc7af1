"""Every exception leaktui raises on purpose, and whose fault it is.

    LeaktuiError                      what the user reads is str(error): one sentence, with the remedy
    ├── TargetError                   the process cannot be inspected
    │   ├── TargetGone                no such process, or it exited while we looked
    │   ├── TargetForbidden           it is not ours to look at
    │   ├── NotGo                     not a Go executable
    │   └── TargetBusy                another tracer, or another leaktui, holds it
    ├── EngineError                   one source failed; the others go on
    │   ├── EndpointMissing           no pprof endpoint found
    │   ├── EndpointMismatch          an endpoint, but of another process, or not pprof at all
    │   ├── EndpointDenied            it wants credentials, or refuses ours
    │   ├── EndpointUnreachable       refused, reset, timed out
    │   └── EngineUnavailable         the engine cannot work here (permission, architecture, tool missing)
    ├── DecodeError                   bytes from outside do not have the shape they claim
    │   ├── Truncated                 they end too early
    │   └── LimitExceeded             they are larger than leaktui is ready to hold
    └── UsageError                    the arguments contradict each other or name nothing

Law: a message never holds raw text from the target; it has gone through `text.printable` first.
"""

from __future__ import annotations


class LeaktuiError(Exception):
    """Base of the tree. `remedy` is the half of the sentence that says what to do."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}: {self.remedy}" if self.remedy else message


class TargetError(LeaktuiError):
    """The process cannot be inspected at all; the command ends with status 2."""


class TargetGone(TargetError):
    """No such process, or it exited while leaktui looked."""


class TargetForbidden(TargetError):
    """The process belongs to someone else."""


class NotGo(TargetError):
    """The executable was not built by the Go toolchain."""


class TargetBusy(TargetError):
    """Another tracer or another leaktui holds the process."""


class EngineError(LeaktuiError):
    """One source failed; the others go on."""


class EndpointMissing(EngineError):
    """No pprof endpoint was found for the process."""


class EndpointMismatch(EngineError):
    """An endpoint answered, but it is another process's or does not speak pprof."""


class EndpointDenied(EngineError):
    """The endpoint wants credentials or refuses the ones given (HTTP 401, 403)."""


class EndpointUnreachable(EngineError):
    """Refused, reset, or silent for longer than the time-out."""


class EngineUnavailable(EngineError):
    """The engine cannot work on this target or machine."""


class DecodeError(LeaktuiError):
    """Bytes from outside do not have the shape they claim."""


class Truncated(DecodeError):
    """The bytes end before what they announce."""


class LimitExceeded(DecodeError):
    """More data than leaktui is ready to hold; the limit is in the message."""


class UsageError(LeaktuiError):
    """The command line contradicts itself or names nothing."""
