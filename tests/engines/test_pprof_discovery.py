"""From a pid to its endpoint, on real Go services: every way to serve, and everybody who is not it."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leaktui.engines.pprof import PprofEngine
from leaktui.engines.pprof_discovery import endpoints_of
from leaktui.engines.pprof_endpoint import Credentials
from leaktui.engines.protocol import GroupsSeen, Request, Want
from leaktui.errors import (
    EndpointMismatch,
    EndpointMissing,
    EndpointUnreachable,
    EngineError,
    LeaktuiError,
    TargetGone,
)
from leaktui.model.capability import Capability
from leaktui.model.target import Target
from tests.engines.conftest import Running, Start

pytestmark = pytest.mark.go

GROUPS = Request(frozenset({Want.GROUPS}))


@contextmanager
def engine(pid: int | None, url: str | None = None, **options: object) -> Iterator[PprofEngine]:
    made = PprofEngine(pid, url, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def probe(pid: int | None, url: str | None = None, **options: object) -> Capability:
    with engine(pid, url, **options) as made:
        return made.probe(Target(pid=pid, url=url))


def count_of(engine: PprofEngine) -> int:
    """Goroutines parked in the service's own parkForever."""
    (fact,) = engine.capture(GROUPS, threading.Event())
    assert isinstance(fact, GroupsSeen)
    return sum(
        group.count
        for group in fact.groups
        if any(frame.function == "main.parkForever" for frame in group.stack)
    )


def test_finds_the_endpoint_among_the_listeners(start: Start) -> None:
    service = start("-silent", "3")
    capability = probe(service.pid)
    assert capability.usable
    assert capability.reason == f"at {service.url}"
    assert {"groups", "goroutines", "heap", "trace"} <= set(capability.gives)


@pytest.mark.parametrize(
    ("options", "scheme"),
    [
        (["-listen", "0.0.0.0:0"], "http"),
        (["-listen", "[::]:0"], "http"),
        (["-listen", "[::1]:0"], "http"),
        (["-tls"], "https"),
        (["-mount", "single"], "http"),
        (["-trim-args"], "http"),
    ],
    ids=["v4-wildcard", "v6-wildcard", "v6-loopback", "tls", "single-routes", "changed-arguments"],
)
def test_ways_to_serve(start: Start, options: list[str], scheme: str) -> None:
    service = start("-goroutines", "7", *options)
    with engine(service.pid) as made:
        assert made.probe(Target(pid=service.pid)).usable
        assert (made.url or "").startswith(f"{scheme}://")
        assert count_of(made) == 7


@pytest.mark.parametrize("abstract", [False, True], ids=["file", "abstract"])
def test_unix_socket(start: Start, tmp_path: Path, abstract: bool) -> None:
    # Longer than sun_path allows, were it to be connected to by its full name.
    path = f"@leaktui-test-{tmp_path.name}" if abstract else "pprof.sock"
    service = start("-listen", "", "-unix", path, "-goroutines", "7", under=("env", "-C", str(tmp_path)))
    with engine(service.pid) as made:
        assert made.probe(Target(pid=service.pid)).usable
        assert made.url == f"unix:{path}"
        assert count_of(made) == 7
    if abstract:
        assert probe(None, f"unix:{path}").usable
    else:
        assert probe(None, f"unix:{tmp_path / path}").usable


def test_prefix_needs_the_url(start: Start) -> None:
    service = start("-mount", "prefix", "-prefix", "/ops/internal")
    found = probe(service.pid)
    assert not found.usable
    assert f"listens on {service.tcp}; it does not answer /debug/pprof/" in found.reason
    assert "--url" in found.remedy
    for url in (f"{service.tcp}/ops/internal", f"http://{service.tcp}/ops/internal/debug/pprof/heap?gc=1"):
        given = probe(service.pid, url)
        assert given.usable, given
        assert given.reason == f"at http://{service.tcp}/ops/internal/debug/pprof/"


def test_slow_program_gets_a_second_chance(start: Start) -> None:
    service = start("-goroutines", "2", "-slow", "1.5s")
    with engine(service.pid) as made:
        assert count_of(made) == 2


def test_program_without_pprof(start: Start) -> None:
    capability = probe(start(program="plain").pid)
    assert not capability.usable
    assert "does not link net/http/pprof" in capability.reason
    assert 'import _ "net/http/pprof"' in capability.remedy


def test_program_that_listens_on_nothing(start: Start) -> None:
    service = start("-listen", "")
    with engine(service.pid) as made, pytest.raises(EndpointMissing, match="listens on no address"):
        list(made.capture(GROUPS, threading.Event()))


def test_several_listeners_without_pprof_are_listed(start: Start) -> None:
    service = start("-mount", "none", "-silent", "9")
    reason = probe(service.pid).reason
    assert service.tcp in reason or "more" in reason
    assert "4 more" in reason
    assert "none answers /debug/pprof/" in reason
    assert "(no answer)" in reason


@pytest.mark.parametrize(
    ("options", "credentials"),
    [
        (["-user", "ops", "-password", "pass:word"], Credentials(user="ops", password="pass:word")),
        (["-token", "t0ken"], Credentials(token="t0ken")),
    ],
    ids=["basic", "bearer"],
)
def test_credentials(start: Start, options: list[str], credentials: Credentials) -> None:
    service = start("-goroutines", "3", *options)
    denied = probe(service.pid)
    assert not denied.usable
    assert "HTTP 401" in denied.reason
    wrong = probe(service.pid, credentials=Credentials(token="wrong"))
    assert "credentials given" in wrong.reason
    with engine(service.pid, credentials=credentials) as made:
        assert count_of(made) == 3


def test_client_certificate_is_explained(start: Start) -> None:
    service = start("-tls", "-client-cert")
    capability = probe(None, f"https://{service.tcp}", insecure=True)
    assert not capability.usable
    assert "certificate" in capability.reason + capability.remedy


def test_certificate_of_a_url_is_checked(start: Start) -> None:
    service = start("-tls")
    strict = probe(None, f"https://{service.tcp}")
    assert not strict.usable
    assert "certificate is not trusted" in strict.reason
    assert strict.remedy == "pass --insecure to accept it"
    assert probe(None, f"https://{service.tcp}", insecure=True).usable


class TestWhoseEndpoint:
    """Nobody else's answers, however alike."""

    def test_url_of_a_twin(self, start: Start) -> None:
        one, twin = start(), start()
        capability = probe(one.pid, twin.url)
        assert not capability.usable
        assert f"not for process {one.pid}" in capability.reason
        assert probe(one.pid, one.url).usable
        assert probe(twin.pid, twin.url).usable

    def test_url_of_another_program_names_both(self, start: Start) -> None:
        one, other = start("-goroutines", "1"), start("-goroutines", "2")
        reason = probe(one.pid, other.url).reason
        assert "-goroutines 1" in reason
        assert "-goroutines 2" in reason

    def test_reverse_proxy_is_not_its_backend(self, start: Start) -> None:
        backend = start("-goroutines", "5")
        proxy = start("-forward", f"http://{backend.tcp}")
        with engine(proxy.pid) as made, pytest.raises(EndpointMismatch, match="-goroutines 5"):
            list(made.capture(GROUPS, threading.Event()))

    def test_shared_address_reaches_the_right_process_each_time(self, start: Start) -> None:
        one = start("-reuse-port", "-goroutines", "1")
        crowd = [start("-reuse-port", "-goroutines", str(n), "-listen", one.tcp) for n in (2, 3)]
        for number, service in enumerate((one, *crowd), start=1):
            for _ in range(4):
                with engine(service.pid) as made:
                    assert count_of(made) == number

    def test_endpoint_taken_over_by_another_process(self, start: Start) -> None:
        first = start()
        with engine(first.pid) as made:
            list(made.capture(GROUPS, threading.Event()))
            first.stop()
            start("-listen", first.tcp)
            with pytest.raises(TargetGone, match=f"process {first.pid}"):
                list(made.capture(GROUPS, threading.Event()))


def test_dual_stack_and_v4_only_neighbours(start: Start) -> None:
    # Two processes on one port number: one on every IPv6 address only, the other on 127.0.0.1.
    service = start("-goroutines", "4", "-listen", "[::1]:0")
    port = service.tcp.rpartition(":")[2]
    neighbour = start("-goroutines", "9", "-listen", f"127.0.0.1:{port}")
    for process, number in ((service, 4), (neighbour, 9)):
        with engine(process.pid) as made:
            assert count_of(made) == number


def test_stopped_process_is_called_stopped(start: Start) -> None:
    service = start()
    with engine(service.pid) as made:
        list(made.capture(GROUPS, threading.Event()))
        service.process.send_signal(signal.SIGSTOP)
        try:
            with (
                engine(service.pid) as late,
                pytest.raises(EndpointUnreachable, match="is stopped") as caught,
            ):
                list(late.capture(GROUPS, threading.Event()))
            assert f"kill -CONT {service.pid}" in str(caught.value)
        finally:
            service.process.send_signal(signal.SIGCONT)


def test_exited_process_is_gone_not_unreachable(start: Start) -> None:
    service = start()
    with engine(service.pid) as made:
        list(made.capture(GROUPS, threading.Event()))
        service.stop()
        with pytest.raises(TargetGone, match="has exited"):
            list(made.capture(GROUPS, threading.Event()))


def test_probing_leaves_no_connection_behind(start: Start) -> None:
    service = start("-silent", "2")
    before = set(threading.enumerate())
    with engine(service.pid) as made:
        made.probe(Target(pid=service.pid))
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
    with engine(service.pid) as made:
        list(made.capture(GROUPS, threading.Event()))
        ports = _ports_of(service)
        connections = [port for port in _peer_ports() if port in ports]
    assert len(connections) <= 1 + 2  # the kept one, and those of this engine's own probing


def _ports_of(service: Running) -> set[int]:
    return {endpoint.port for alternatives in endpoints_of(service.pid) for endpoint in alternatives}


def _peer_ports() -> Iterator[int]:
    """Remote ports of our own established connections."""
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01":
            yield int(fields[2].partition(":")[2], 16)


@pytest.mark.root
@pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("ip")), reason="no unshare or ip")
def test_other_network_namespace(start: Start, tmp_path: Path) -> None:
    under = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    service = start("-goroutines", "6", under=under)
    with engine(service.pid) as made:
        capability = made.probe(Target(pid=service.pid))
        assert capability.usable, capability
        assert count_of(made) == 6
    # The port is theirs: in our own namespace nobody listens there.
    with socket.socket() as sock:
        host, _, port = service.tcp.rpartition(":")
        assert sock.connect_ex((host, int(port))) != 0


def test_program_that_restarts_in_place_is_found_again(start: Start) -> None:
    service = start("-goroutines", "3")
    with engine(service.pid) as made:
        assert count_of(made) == 3
        first = made.url
        # exec: the pid and its start time stay, the port and the addresses do not.
        restarted = service.say("exec")
        with pytest.raises(EngineError):
            count_of(made)
        assert count_of(made) == 3
        assert made.url == restarted.url != first


def test_url_alone_takes_any_process(start: Start) -> None:
    service = start("-goroutines", "2")
    with engine(None, service.tcp) as made:
        assert count_of(made) == 2
        assert made.url == service.url


def test_failed_search_is_repeated(start: Start) -> None:
    service = start("-listen", "")
    with engine(service.pid) as made:
        for _ in range(2):
            with pytest.raises(LeaktuiError):
                list(made.capture(GROUPS, threading.Event()))
