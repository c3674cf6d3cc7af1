"""What a parked goroutine waits on, and what it will still do on its way out."""

from __future__ import annotations

from dataclasses import dataclass

from leaktui.model.frame import Frame


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel a goroutine is queued on. `sends` says that it wants to send.

    `type_name` is the element's, empty where not known; `queued` of `capacity` elements are in its buffer;
    `senders` and `receivers` are the goids that wait on it (the first of them; `waiting` counts all).
    """

    address: int
    sends: bool
    type_name: str = ""
    capacity: int = 0
    queued: int = 0
    closed: bool = False
    senders: tuple[int, ...] = ()
    receivers: tuple[int, ...] = ()
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """What a goroutine waits for: channels (several in a select), or a word the runtime parks it on.

    `semaphore` is that word's address (in a Mutex, RWMutex, WaitGroup), or the notify list of a Cond; 0 for none.
    """

    channels: tuple[Channel, ...] = ()
    semaphore: int = 0


@dataclass(frozen=True, slots=True)
class DeferredCall:
    """A deferred call that has not run yet. `function` is called when the frame of `deferred_by` returns.

    `deferred_by` is the line of the defer statement where it is known. `open_coded`: kept in its frame
    rather than on the chain.
    """

    function: Frame
    deferred_by: Frame | None = None
    open_coded: bool = False


@dataclass(frozen=True, slots=True)
class Panic:
    """A panic in flight: what was passed to panic(), as text where it is a string or an error's type."""

    value: str
    type_name: str = ""
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class GoroutineDetail:
    """One goroutine looked at closely."""

    goid: int
    wait: Wait = Wait()
    deferred: tuple[DeferredCall, ...] = ()
    panics: tuple[Panic, ...] = ()
