"""Which endpoint a PprofEngine talks to, or one sentence why none.

Law: everything that can be wrong with a pid, a URL, or the two together ends here in one of the
Endpoint* errors, with what else to do; `leaktui doctor` shows the same sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from leaktui.binary.executable import Executable
from leaktui.engines.pprof_discovery import Answer, Discovery, Expected, Probed, discover, probe_endpoint
from leaktui.engines.pprof_endpoint import Credentials, Endpoint
from leaktui.engines.proc_stat import format_cmdline, read_stat
from leaktui.errors import (
    EndpointDenied,
    EndpointMismatch,
    EndpointMissing,
    EndpointUnreachable,
    EngineError,
    LeaktuiError,
)

URL_SECONDS = 10.0
"""How long an endpoint given with --url may take to say who it is."""

BUSY_SECONDS = 4.0
"""The second chance of a program that has pprof linked in and did not answer at once."""

_SHOWN_ADDRESSES = 6
_CREDENTIALS_REMEDY = (
    "pass --user, or set LEAKTUI_PPROF_USER and LEAKTUI_PPROF_PASSWORD, or LEAKTUI_PPROF_TOKEN"
)


def find_by_pid(pid: int, credentials: Credentials, cancelled: Callable[[], bool]) -> Probed:
    """The pprof endpoint among the listeners of *pid*.

    Raises TargetGone, TargetForbidden, EndpointMissing, EndpointDenied, EndpointMismatch.
    """
    discovery = discover(pid, credentials, cancelled=cancelled)
    silent = any(probed.answer is Answer.UNREACHABLE for probed in discovery.probed)
    if discovery.found is None and silent and read_stat(pid).state not in "Tt" and links_pprof(pid):
        # It is in the program, so it may be one of those that were silent: a program short of memory or
        # CPU, the very one that is looked at here, takes its time.
        discovery = discover(pid, credentials, seconds=BUSY_SECONDS, cancelled=cancelled)
    if discovery.found is not None:
        return discovery.found
    raise _explain_missing(pid, discovery, credentials)


def find_by_url(
    candidates: Sequence[Endpoint], credentials: Credentials, pid: int | None, cancelled: Callable[[], bool]
) -> Probed:
    """The first of *candidates* that is pprof, and of *pid* where one is given.

    Raises TargetGone, TargetForbidden, EndpointMismatch, EndpointDenied, EndpointUnreachable.
    """
    expected = Expected() if pid is None else Expected.process(pid)
    answers: list[Probed] = []
    for endpoint in candidates:
        probed = probe_endpoint(
            endpoint, credentials, expected, seconds=URL_SECONDS, cancelled=cancelled, ask_first=False
        )
        if probed.answer is Answer.OURS:
            return probed
        answers.append(probed)
        if probed.answer in (Answer.UNREACHABLE, Answer.DENIED, Answer.FOREIGN):
            break  # the other path of the same server will say no more
    raise _explain_url(answers[-1], expected, credentials)


def _explain_url(probed: Probed, expected: Expected, credentials: Credentials) -> EngineError:
    name = probed.endpoint.name
    if probed.answer is Answer.DENIED:
        return _denied(probed, credentials)
    if probed.answer is Answer.UNREACHABLE:
        return EndpointUnreachable(
            probed.detail, remedy=probed.remedy or "check the address, and that the program still runs"
        )
    if probed.answer is Answer.FOREIGN:
        wanted = format_cmdline(expected.cmdline or b"", 120)
        return EndpointMismatch(
            f"{name} answers for {probed.detail}, not for process {expected.pid} (`{wanted}`)",
            remedy="leave --url out, or give the address of that process",
        )
    return EndpointMismatch(
        probed.detail,
        remedy=probed.remedy or "give the address of the profiles, such as http://HOST:PORT/debug/pprof/",
    )


def _denied(probed: Probed, credentials: Credentials) -> EndpointDenied:
    if credentials:
        return EndpointDenied(
            f"{probed.detail} to the credentials given", remedy=f"check them, or {_CREDENTIALS_REMEDY}"
        )
    return EndpointDenied(f"{probed.detail}: it wants credentials", remedy=_CREDENTIALS_REMEDY)


def _explain_missing(pid: int, discovery: Discovery, credentials: Credentials) -> EngineError:
    for probed in discovery.probed:
        if probed.answer is Answer.DENIED:
            return _denied(probed, credentials)
    linked = links_pprof(pid)
    remedy = "if it is served elsewhere, give it with --url http://HOST:PORT/PREFIX/debug/pprof/"
    if linked is False:
        remedy = (
            'import _ "net/http/pprof" in the program and serve it on a local port; '
            "memory and descriptors are watched through /proc all the same"
        )
    if not discovery.probed:
        reason = f"process {pid} listens on no address"
        if linked is False:
            return EndpointMissing(f"the program does not link net/http/pprof, and {reason}", remedy=remedy)
        return EndpointMissing(f"{reason} where pprof could be asked", remedy=remedy)
    if len(discovery.probed) == 1 and discovery.probed[0].answer is Answer.FOREIGN:
        only = discovery.probed[0]
        return EndpointMismatch(
            f"process {pid} listens on {_address(only)}, but what answers there is {only.detail}",
            remedy="open that process instead, or give the address with --url alone",
        )
    unreachable = [probed for probed in discovery.probed if probed.answer is Answer.UNREACHABLE]
    if linked is not False and len(unreachable) == len(discovery.probed) and unreachable[0].remedy:
        return EndpointMissing(unreachable[0].detail, remedy=unreachable[0].remedy)
    addresses = [_address(probed) for probed in discovery.probed]
    if len(addresses) > _SHOWN_ADDRESSES:
        addresses[_SHOWN_ADDRESSES:] = [f"{len(addresses) - _SHOWN_ADDRESSES} more"]
    listening = f"process {pid} listens on {', '.join(addresses)}; "
    listening += "none answers /debug/pprof/" if len(addresses) > 1 else "it does not answer /debug/pprof/"
    if linked is False:
        return EndpointMissing(f"the program does not link net/http/pprof ({listening})", remedy=remedy)
    return EndpointMissing(listening, remedy=remedy)


def _address(probed: Probed) -> str:
    endpoint = probed.endpoint
    if endpoint.unix_path is not None:
        address = endpoint.url
    else:
        address = endpoint.origin.partition("://")[2]
    notes = {
        Answer.UNREACHABLE: " (no answer)",
        Answer.FOREIGN: " (answers for another process)",
    }
    return address + notes.get(probed.answer, "")


def links_pprof(pid: int) -> bool | None:
    """Whether the executable of *pid* contains net/http/pprof; None where that cannot be told."""
    try:
        with Executable.open(f"/proc/{pid}/exe") as executable:
            return next(executable.pc_lines.iter_names("net/http/pprof."), None) is not None
    except LeaktuiError:
        return None
