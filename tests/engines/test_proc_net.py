from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from leaktui.engines.proc_fd import read_fds
from leaktui.engines.proc_net import find_listeners, find_sockets, find_unix_listeners, shares_network
from leaktui.errors import TargetGone
from leaktui.model.process import Socket

ME = os.getpid()


def inode_of(sock: socket.socket) -> int:
    return os.fstat(sock.fileno()).st_ino


def seen(sock: socket.socket) -> Socket:
    return find_sockets(ME, {inode_of(sock)})[inode_of(sock)]


def test_tcp_connection_with_waiting_bytes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"x" * 1234)
                ours = seen(accepted)
        host, port = server.getsockname()
        assert ours.family == "tcp"
        assert ours.local == f"{host}:{port}"
        assert ours.state == "ESTABLISHED"
        assert ours.rx_queue == 1234


def test_peer_that_closed_leaves_close_wait() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, peer = server.accept()
        with accepted:
            client.close()
            accepted.recv(1)
            ours = seen(accepted)
    assert ours.state == "CLOSE_WAIT"
    assert ours.remote == f"{peer[0]}:{peer[1]}"


def test_ipv6_and_mapped_ipv4() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert seen(server) == Socket("tcp6", f"[::]:{port}", "[::]:0", "LISTEN")
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            with accepted:
                assert seen(accepted).local == f"127.0.0.1:{port}"


def test_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        ours = seen(sock)
    assert ours.family == "udp"
    assert ours.state == ""


def test_unix_sockets(tmp_path: Path) -> None:
    path = tmp_path / "a socket\x1b"
    abstract = f"\0leaktui-test-{ME}"
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as other:
        named.bind(bytes(path))
        assert find_unix_listeners(ME) == ()
        named.listen()
        other.bind(abstract)
        other.listen()
        found = {listener.path: listener for listener in find_unix_listeners(ME)}
        assert set(found) == {bytes(path), abstract.encode()}
        assert found[bytes(path)].name == str(path).replace("\x1b", "\\x1b")
        assert found[abstract.encode()].name == "@" + abstract[1:]
        assert seen(named).state == "LISTEN"
    one, two = socket.socketpair()
    with one, two:
        assert seen(one) == Socket("unix", "", "", "ESTABLISHED")


def test_listeners_are_our_own_only() -> None:
    with contextlib.ExitStack() as stack:
        v4 = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        v6 = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        wild = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        found = {(listener.host, listener.port, listener.inode) for listener in find_listeners(ME)}
        for sock in (v4, v6, wild):
            host, port = sock.getsockname()[:2]
            assert (host, port, inode_of(sock)) in found
        ports = {port for _, port, _ in found}
    assert not ports & {listener.port for listener in find_listeners(ME)}


def test_sockets_are_joined_to_descriptors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (entry,) = [entry for entry in read_fds(ME) if entry.fd == server.fileno()]
        assert entry.socket is not None
        assert entry.socket.state == "LISTEN"
        assert entry.inode == inode_of(server)


def test_gone() -> None:
    with pytest.raises(TargetGone):
        find_listeners(4194303)


def test_own_namespace() -> None:
    assert shares_network(ME)
    assert shares_network(os.getppid())
