"""The connection to Delve against servers that behave and servers that do not; a socket stands in for dlv."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from leaktui.engines.delve.channel import Channel, ChannelClosed
from leaktui.engines.delve.debugger import Debugger
from leaktui.engines.delve.rpc import DelveGone, DelveRefused, DelveSilent, RpcConnection, open_answer
from leaktui.errors import DecodeError, TargetGone

Answer = Callable[[dict[str, Any]], list[bytes]]


def result(request: dict[str, Any], value: Any, error: str | None = None) -> bytes:
    message = {"id": request["id"], "result": value, "error": error}
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


@contextmanager
def served(answer: Answer) -> Iterator[RpcConnection]:
    """A connection to a server that answers each request with *answer*; it hangs up on an empty one."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        decoder, text = json.JSONDecoder(), ""
        with theirs:
            while data := theirs.recv(1 << 16):
                text += data.decode()
                while text:
                    request, end = decoder.raw_decode(text)
                    text = text[end:]
                    for line in answer(request):
                        if not line:
                            return
                        theirs.sendall(line)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    connection = RpcConnection(ours)
    try:
        yield connection
    finally:
        connection.close()
        thread.join(5)


def test_answers_that_come_in_another_order() -> None:
    held: list[bytes] = []

    def answer(request: dict[str, Any]) -> list[bytes]:
        held.insert(0, result(request, request["id"]))
        return held if len(held) == 2 else []

    with served(answer) as rpc:
        first, second = rpc.send("A"), rpc.send("B")
        assert open_answer(rpc.take(first, 5) or b"") == first
        assert open_answer(rpc.take(second, 5) or b"") == second


def test_delves_own_words_for_a_refusal() -> None:
    with served(lambda request: [result(request, None, "could not find symbol")]) as rpc:
        debugger = Debugger(rpc, 0)
        with pytest.raises(DelveRefused, match="could not find symbol"):
            debugger.call("Eval")


def test_one_that_hangs_up() -> None:
    with served(lambda request: [b""]) as rpc:
        with pytest.raises(DelveGone):
            Debugger(rpc, 0).call("Eval")
        assert rpc.over


def test_one_that_is_silent_is_looked_after_and_given_up() -> None:
    looks: list[int] = []
    with served(lambda request: []) as rpc, pytest.raises(DelveSilent, match="Eval"):
        Debugger(rpc, 0, lambda: looks.append(1)).call("Eval", seconds=0.2)
    assert looks


@pytest.mark.parametrize("line", [b"\x00{]\n", b'{"id":77,"result":1,"error":null}\n', b"null\n"])
def test_one_that_talks_nonsense(line: bytes) -> None:
    with served(lambda request: [line]) as rpc, pytest.raises(DecodeError, match="Delve answered"):
        Debugger(rpc, 0).call("Eval")


def test_a_late_answer_to_a_call_given_up_is_not_taken_for_another() -> None:
    requests: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> list[bytes]:
        requests.append(request)
        return [] if len(requests) == 1 else [result(requests[0], "late"), result(request, "mine")]

    with served(answer) as rpc:
        debugger = Debugger(rpc, 0)
        with pytest.raises(DelveSilent):
            debugger.call("A", seconds=0.1)
        assert debugger.call("B") == "mine"


class Server:
    """A Delve whose target runs or stands, and which notes what it is told."""

    def __init__(self, *, running: bool, exits: bool = False) -> None:
        self.running = running
        self.exits = exits
        self.told: list[str] = []
        self._continue: dict[str, Any] | None = None

    def __call__(self, request: dict[str, Any]) -> list[bytes]:
        method = request["method"].removeprefix("RPCServer.")
        name = request["params"][0].get("name", "")
        self.told.append(name or method)
        state = {"State": {"Running": self.running, "exited": self.exits}}
        if name == "continue":
            self._continue, self.running = request, True
            return [result(request, state)] if self.exits else []
        if name == "halt":
            self.running = False
            stopped = {"State": {"Running": False}}
            waiting, self._continue = self._continue, None
            return [result(item, stopped) for item in (waiting, request) if item]
        return [result(request, state)]


def test_it_halts_only_what_runs() -> None:
    server = Server(running=False)
    with served(server) as rpc:
        debugger = Debugger(rpc, 0)
        assert debugger.halt() is None
        assert server.told == []
        debugger.resume()
        assert debugger.running
        assert debugger.halt() is not None
        assert server.told == ["continue", "State", "halt"]


@pytest.mark.parametrize(
    ("running", "told"), [(True, ["State", "halt", "State", "continue"]), (False, ["State"])]
)
def test_somebody_elses_target_is_left_as_it_was(running: bool, told: list[str]) -> None:
    server = Server(running=running)
    with served(server) as rpc:
        debugger = Debugger(rpc, 0, foreign=True)
        debugger.halt()
        debugger.resume()
        assert debugger.running == running
        debugger.call("State", NonBlocking=True)
        assert server.running == running
        assert server.told == [*told, "State"]


def test_a_target_that_has_exited() -> None:
    with served(Server(running=False, exits=True)) as rpc:
        debugger = Debugger(rpc, 4242)
        debugger.resume()
        line = debugger.stopped(5.0)
        assert line is not None
        with pytest.raises(TargetGone, match="4242"):
            debugger.refuse_exited(line)


# --- between leaktui and the guardian ---


def test_a_message_with_what_goes_with_it() -> None:
    ours, theirs = map(Channel, socket.socketpair())
    ours.post({"do": "look"}, [b'{"a":1}', b"\xff"])
    ours.post({"do": "end"})
    message = theirs.receive(1.0)
    assert message is not None
    assert (message.head, message.lines) == ({"do": "look"}, [b'{"a":1}', b"\xff"])
    last = theirs.receive(1.0)
    assert last is not None
    assert (last.head, last.lines) == ({"do": "end"}, [])
    assert theirs.receive(0.0) is None
    ours.close()
    with pytest.raises(ChannelClosed):
        theirs.receive(1.0)
    theirs.close()


def test_nobody_waits_for_one_who_does_not_read() -> None:
    ours, theirs = map(Channel, socket.socketpair())
    with pytest.raises(ChannelClosed):
        for _ in range(200):
            ours.post({"event": "hit"}, [b"x" * (1 << 20)])
    ours.close()
    theirs.close()
