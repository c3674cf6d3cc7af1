"""From a pid to its pprof endpoint.

Law: only sockets the process itself listens on are asked, only under `/debug/pprof/`, all at once and
each for a fraction of a second, so that one that hangs holds nobody up. Two requests decide:
`threadcreate` (a profile, and whose it is) and, where a router serves only some profiles, `cmdline`.
An address is taken only if it is this process's; see pprof_identity.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from leaktui.engines.pprof_endpoint import Credentials, Endpoint
from leaktui.engines.pprof_identity import Identity, Mappings, read_mappings
from leaktui.engines.proc_net import find_all_listeners, shares_network
from leaktui.engines.proc_stat import format_cmdline, read_cmdline
from leaktui.errors import (
    EndpointMismatch,
    EndpointUnreachable,
    EngineUnavailable,
    LeaktuiError,
    TargetError,
    TargetForbidden,
)
from leaktui.text import printable

if TYPE_CHECKING:  # httpx costs a tenth of a second to import: only where something is asked
    from leaktui.engines.pprof_client import PprofClient, Reply
    from leaktui.engines.pprof_connection import Patience

PROBE_SECONDS = 0.9
"""The longest all the listeners of a process may take together."""

_MAX_LISTENERS = 64
_CMDLINE_LIMIT = 4 << 20
_INDEX_LIMIT = 1 << 20


class Answer(Enum):
    """What asking one address showed."""

    OURS = "ours"
    FOREIGN = "foreign"
    DENIED = "denied"
    NOT_PPROF = "not pprof"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Probed:
    """One address and its answer. `identified`: connections can be proved to be the process's."""

    endpoint: Endpoint
    answer: Answer
    detail: str = ""
    remedy: str = ""
    identified: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """Whom an address must belong to. `cmdline` None: anybody will do (a bare --url)."""

    pid: int | None = None
    mappings: Mappings | None = None
    cmdline: bytes | None = None

    @classmethod
    def process(cls, pid: int) -> Expected:
        """The process *pid*; raises TargetGone or TargetForbidden."""
        return cls(pid, read_mappings(pid), read_cmdline(pid).removesuffix(b"\0"))


@dataclass(frozen=True, slots=True)
class Discovery:
    """All addresses asked, in the order of the listeners, and the one that is the process's pprof."""

    found: Probed | None
    probed: tuple[Probed, ...]


def discover(
    pid: int,
    credentials: Credentials | None = None,
    *,
    seconds: float = PROBE_SECONDS,
    cancelled: Callable[[], bool] = lambda: False,
) -> Discovery:
    """Ask every listener of *pid* for pprof; raises TargetGone, TargetForbidden.

    Returns as soon as one is found, at latest after *seconds*.
    """
    listeners = endpoints_of(pid)
    if not listeners:
        return Discovery(None, ())
    expected = Expected.process(pid)
    over = threading.Event()
    results: SimpleQueue[tuple[int, Probed]] = SimpleQueue()

    def ask(index: int, alternatives: Sequence[Endpoint]) -> None:
        gone = lambda: over.is_set() or cancelled()  # noqa: E731
        results.put((index, _ask_alternatives(alternatives, credentials, expected, seconds, gone)))

    began = monotonic()
    for index, alternatives in enumerate(listeners):
        threading.Thread(
            target=ask, args=(index, alternatives), name="leaktui-pprof-probe", daemon=True
        ).start()
    silent = f"did not answer within {seconds:.1f} s"
    probed = [Probed(alternatives[0], Answer.UNREACHABLE, silent) for alternatives in listeners]
    found: Probed | None = None
    try:
        for _ in listeners:
            index, answer = results.get(timeout=max(0.0, began + seconds + 0.1 - monotonic()))
            probed[index] = answer
            if answer.answer is Answer.OURS:
                found = answer
                break
    except Empty:
        pass
    finally:
        over.set()
    return Discovery(found, tuple(probed))


def endpoints_of(pid: int) -> tuple[tuple[Endpoint, ...], ...]:
    """For each listener of *pid*, the addresses that may reach it, the likelier first.

    Raises TargetGone, TargetForbidden.
    """
    namespace = None if shares_network(pid) else pid
    # The socket's inode belongs to the process: a self-signed certificate takes nothing away from that.
    common = Endpoint(owner_pid=pid, namespace_pid=namespace, verify=False)
    tcp, unix = find_all_listeners(pid)
    found: list[tuple[Endpoint, ...]] = [
        tuple(
            replace(common, host=host, port=listener.port)
            # A wildcard is reached over loopback; `::` takes IPv4 too unless the listener is v6-only.
            for host in {"0.0.0.0": ("127.0.0.1",), "::": ("127.0.0.1", "::1")}.get(
                listener.host, (listener.host,)
            )
        )
        for listener in tcp
    ]
    found += [(replace(common, unix_path=listener.path),) for listener in unix]
    return tuple(dict.fromkeys(found))[:_MAX_LISTENERS]


def _ask_alternatives(
    alternatives: Sequence[Endpoint],
    credentials: Credentials | None,
    expected: Expected,
    seconds: float,
    cancelled: Callable[[], bool],
) -> Probed:
    for endpoint in alternatives:
        probed = probe_endpoint(endpoint, credentials, expected, seconds=seconds, cancelled=cancelled)
        if probed.answer not in (Answer.UNREACHABLE, Answer.FOREIGN):
            break
    return probed


def probe_endpoint(
    endpoint: Endpoint,
    credentials: Credentials | None,
    expected: Expected,
    *,
    seconds: float,
    cancelled: Callable[[], bool] = lambda: False,
    ask_first: bool = True,
    try_tls: bool = True,
) -> Probed:
    """Ask one address who it is; over TLS where it turns out to want that. Does not raise."""
    from leaktui.engines.pprof_client import PprofClient
    from leaktui.engines.pprof_connection import CaptureCancelled, Patience

    patience = Patience(total=seconds, idle=seconds, cancelled=cancelled)
    client = PprofClient(endpoint, credentials, mappings=expected.mappings, ask_first=ask_first)
    speaks_http = True
    try:
        probed = _ask(client, patience, expected)
        speaks_http = probed.detail != _WANTS_TLS
    except CaptureCancelled:
        return Probed(endpoint, Answer.UNREACHABLE, "was not waited for")
    except (EndpointUnreachable, EngineUnavailable) as error:
        probed = Probed(endpoint, Answer.UNREACHABLE, str(error.args[0]), error.remedy)
    except EndpointMismatch as error:
        probed = Probed(endpoint, Answer.NOT_PPROF, str(error.args[0]), error.remedy)
        speaks_http = False
    except LeaktuiError as error:
        probed = Probed(endpoint, Answer.NOT_PPROF, str(error.args[0]), error.remedy)
    finally:
        client.close()
    if speaks_http or not try_tls or endpoint.scheme == "https":
        return probed
    secured = probe_endpoint(
        replace(endpoint, scheme="https"),
        credentials,
        expected,
        seconds=max(0.1, patience.remaining()),
        cancelled=cancelled,
        ask_first=ask_first,
    )
    return probed if secured.answer is Answer.UNREACHABLE and probed.detail != _WANTS_TLS else secured


_WANTS_TLS = "it wants TLS"


def _ask(client: PprofClient, patience: Patience, expected: Expected) -> Probed:
    """The two questions; raises what the client raises."""
    endpoint = client.endpoint
    introduction = client.identify(patience)
    reply = introduction.reply
    if reply.wants_tls:
        return Probed(endpoint, Answer.NOT_PPROF, _WANTS_TLS)
    if reply.status in (401, 403):
        return Probed(endpoint, Answer.DENIED, f"{endpoint.name} answers HTTP {reply.status}")
    if introduction.identity is Identity.SAME:
        return Probed(endpoint, Answer.OURS, identified=True)
    if introduction.identity in (Identity.OTHER, Identity.SIBLING):
        return Probed(endpoint, Answer.FOREIGN, _describe_owner(client, patience))
    client.mappings = None  # nothing here to identify connections by
    if expected.cmdline is None:
        if introduction.is_profile or reply.from_pprof or _has_index(client, patience):
            return Probed(endpoint, Answer.OURS)
        return Probed(endpoint, Answer.NOT_PPROF, _describe_reply(endpoint, reply))
    answer = client.get("cmdline", patience, limit=_CMDLINE_LIMIT)
    if answer.status in (401, 403):
        return Probed(endpoint, Answer.DENIED, f"{endpoint.name} answers HTTP {answer.status}")
    if answer.status == 200 and answer.body == expected.cmdline:
        if _listens_elsewhere(endpoint, expected.pid):
            return Probed(endpoint, Answer.FOREIGN, "another process with the same command line")
        return Probed(endpoint, Answer.OURS)
    if introduction.is_profile or reply.from_pprof:
        return Probed(endpoint, Answer.FOREIGN, _describe_cmdline(answer))
    return Probed(endpoint, Answer.NOT_PPROF, _describe_reply(endpoint, reply))


def _listens_elsewhere(endpoint: Endpoint, pid: int | None) -> bool:
    """Whether *endpoint* is on this machine and none of the sockets of *pid*."""
    if pid is None or endpoint.owner_pid == pid or not endpoint.is_local:
        return False
    try:
        tcp, unix = find_all_listeners(pid)
        if endpoint.unix_path is not None:
            return all(listener.path != endpoint.unix_path for listener in unix)
        return all(listener.port != endpoint.port for listener in tcp)
    except TargetForbidden:
        return False
    except TargetError:
        return True


def _has_index(client: PprofClient, patience: Patience) -> bool:
    answer = client.get("", patience, limit=_INDEX_LIMIT)
    return answer.status == 200 and b"goroutine?debug=" in answer.body


def _describe_owner(client: PprofClient, patience: Patience) -> str:
    client.mappings = None  # another process is expected now
    try:
        return _describe_cmdline(client.get("cmdline", patience, limit=_CMDLINE_LIMIT))
    except LeaktuiError:
        return "another process"


def _describe_cmdline(answer: Reply) -> str:
    if answer.status != 200 or b"<" in answer.body[:64] or not answer.body:
        return "another process"
    return f"another process (`{format_cmdline(answer.body, 120)}`)"


def _describe_reply(endpoint: Endpoint, reply: Reply) -> str:
    return printable(f"{endpoint.name} answers HTTP {reply.status}, not a profile", 300)
