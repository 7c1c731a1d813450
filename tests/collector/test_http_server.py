"""The HTTP servers: connections that bring no request."""

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from otel_llm.collector import http_server
from otel_llm.collector.acknowledged import taken
from otel_llm.collector.stack import Stack
from tests.waiting import PATIENCE_S, until

PROGRAM = """
import resource
from otel_llm.collector.http_server import most_connections, raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))
raise_file_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE), most_connections())
"""


def opened(stack: Stack, sent: bytes = b"") -> socket.socket:
    """A connection to the OTLP door on which no whole head has been sent."""
    url = urlsplit(stack.run.otlp_url)
    connection = socket.create_connection((url.hostname, url.port or 0), timeout=20)
    connection.sendall(sent)
    return connection


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_without_a_head_is_closed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Nothing sent, or half a head: the connection ends after a while."""
    monkeypatch.setattr(http_server, "HEAD_S", 0.2)
    with opened(stack, sent) as connection:
        assert connection.recv(1) == b""


class Looks:
    """The looks at connections, each taken when the test says that its time has come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._due: dict[http_server._Connection, Callable[[], None]] = {}

        def later(
            one: http_server._Connection, _delay_s: float, look: Callable[[object, int], None]
        ) -> None:
            self._due[one] = partial(look, one.cycle, taken(one.transport).acknowledged)
            one._timer = one.loop.call_later(3600.0, bool)

        monkeypatch.setattr(http_server._Connection, "_look_later", later)

    def take(self, one: http_server._Connection) -> None:
        """Look at a connection, as its server does after HEAD_S."""
        looked = threading.Event()
        for what in (self._due[one], looked.set):
            one.loop.call_soon_threadsafe(what)
        assert looked.wait(PATIENCE_S)


@pytest.fixture
def narrow(stack: Stack) -> Iterator[None]:
    """The kernel takes little for those who connect now, so that few answers fill it."""
    listener = stack._servers[1].listener
    usual = listener.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    yield
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, usual // 2)  # Linux doubles it


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Nobody looks at new connections but the test."""
    return Looks(monkeypatch)


def test_a_connection_that_is_used_stays(stack: Stack, looks: Looks) -> None:
    """Requests less than a time for a head apart are answered on one connection."""
    before = stack._servers[1].server_state.connections.copy()
    connection = http.client.HTTPConnection(urlsplit(stack.run.otlp_url).netloc, timeout=20)
    connection.connect()
    first = connection.sock
    until(lambda: new(stack, before) != [])
    (made,) = new(stack, before)
    for _ in range(6):
        connection.request("GET", "/metrics")
        with connection.getresponse() as answer:
            assert (answer.status, len(answer.read()) > 0) == (200, True)
        looks.take(made)
    assert connection.sock is first
    looks.take(made)
    assert first.recv(1) == b""  # nothing came between two looks
    connection.close()


def test_idle_connections_keep_nobody_out(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound the connection that is silent for longest goes; requests are answered."""
    monkeypatch.setattr(http_server, "most_connections", lambda: 8)
    with contextlib.ExitStack() as all_of_them:
        idle = [all_of_them.enter_context(opened(stack)) for _ in range(40)]
        assert httpx.get(f"{stack.run.otlp_url}/metrics", trust_env=False).status_code == 200
        assert idle[0].recv(1) == b""
        idle[-1].settimeout(0.2)
        with pytest.raises(TimeoutError):
            idle[-1].recv(1)


def pipelining(stack: Stack, asked: int) -> socket.socket:
    """A connection that has asked so often for the metrics and reads no answer."""
    url = urlsplit(stack.run.otlp_url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.settimeout(20)
    connection.connect((url.hostname, url.port or 0))
    connection.setblocking(False)
    request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with contextlib.suppress(BlockingIOError):  # the door stops to read, too
        for _ in range(asked):
            connection.send(request)
    return connection


def paused(stack: Stack) -> list[http_server._Connection]:
    """The OTLP door's connections that do not take their answers."""
    held = stack._servers[1].server_state.connections.copy()
    each = [one for one in held if isinstance(one, http_server._Connection)]
    return [one for one in each if one.flow.write_paused]


@pytest.mark.usefixtures("narrow")
def test_an_answer_that_is_not_taken_is_broken_off(stack: Stack, looks: Looks) -> None:
    """Many requests, and nobody reads: the connection ends, though an answer is in progress."""
    before = stack._servers[1].server_state.connections.copy()
    with pipelining(stack, 3000):
        until(lambda: paused(stack) != [])
        (made,) = new(stack, before)
        looks.take(made)
        looks.take(made)
        assert new(stack, before) == []


@pytest.mark.usefixtures("narrow")
def test_an_answer_that_is_taken_slowly_is_not(stack: Stack, looks: Looks) -> None:
    """The buffers stay full for longer than the limit, but never without progress."""
    before = stack._servers[1].server_state.connections.copy()
    with pipelining(stack, 3000) as connection:
        connection.settimeout(PATIENCE_S)
        until(lambda: paused(stack) != [])
        (made,) = new(stack, before)
        for _ in range(10):
            seen = taken(made.transport)
            while taken(made.transport).acknowledged == seen.acknowledged:
                assert connection.recv(20_000) != b""
            looks.take(made)
        assert new(stack, before) == [made]


@pytest.mark.usefixtures("narrow")
def test_answers_that_are_not_taken_keep_nobody_out(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the bound the one that has not taken its answer for longest makes room."""
    monkeypatch.setattr(http_server, "most_connections", lambda: 4)
    with contextlib.ExitStack() as all_of_them:
        for _ in range(4):
            all_of_them.enter_context(pipelining(stack, 3000))
        until(lambda: len(paused(stack)) == 4)
        assert httpx.get(f"{stack.run.otlp_url}/metrics", trust_env=False).status_code == 200
        assert len(paused(stack)) == 3


def test_answers_that_pile_up_keep_nobody_out(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has room yet for what nobody takes: the connection makes room all the same."""
    monkeypatch.setattr(http_server, "most_connections", lambda: 4)
    monkeypatch.setattr(http_server._Connection, "_waits", lambda _self: False)  # always answering
    with contextlib.ExitStack() as all_of_them:
        before = stack._servers[1].server_state.connections.copy()
        for _ in range(4):
            all_of_them.enter_context(pipelining(stack, 12))
        until(lambda: len([one for one in new(stack, before) if taken(one.transport).unsent]) == 4)
        assert paused(stack) == []
        assert httpx.get(f"{stack.run.otlp_url}/metrics", trust_env=False).status_code == 200
        assert len(new(stack, before)) <= 4


def test_a_closed_connection_does_not_wait_for_its_answer_to_be_taken(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is answered, the rest lies in our buffer, and nobody takes it."""
    monkeypatch.setattr(http_server, "GOODBYE_S", 0.5)
    before = stack._servers[1].server_state.connections.copy()
    with pipelining(stack, 0):
        until(lambda: new(stack, before) != [])
        (made,) = new(stack, before)
        loop = made.loop
        loop.call_soon_threadsafe(made.transport.write, bytes(16 << 20))
        loop.call_soon_threadsafe(made._end)
        until(made.transport.is_closing)
        until(lambda: new(stack, before) == [])


def new(stack: Stack, before: set[Any]) -> list[http_server._Connection]:
    """The OTLP door's connections that were not there before."""
    held = stack._servers[1].server_state.connections - before
    return [one for one in held if isinstance(one, http_server._Connection)]


def test_the_limit_of_files_is_raised() -> None:
    """As far as the process may; a door gets a quarter."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert ran.stdout == b"(1024, 1024) 256\n"


def test_a_door_has_fewer_connections_than_there_are_files() -> None:
    """Three doors leave files to the store."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < http_server.most_connections() * 4 <= soft
