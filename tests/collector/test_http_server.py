"""The HTTP servers: connections that bring no request."""

import contextlib
import http.client
import resource
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx
import pytest

from otel_llm.collector import http_server
from otel_llm.collector.stack import Stack

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
    began = time.monotonic()
    with opened(stack, sent) as connection:
        assert connection.recv(1) == b""
    assert time.monotonic() - began < 5


def test_a_connection_that_is_used_stays(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests a little apart are answered on one connection, past the time for a head."""
    monkeypatch.setattr(http_server, "HEAD_S", 0.2)
    connection = http.client.HTTPConnection(urlsplit(stack.run.otlp_url).netloc, timeout=20)
    connection.connect()
    first = connection.sock
    for _ in range(6):
        connection.request("GET", "/metrics")
        with connection.getresponse() as answer:
            assert (answer.status, len(answer.read()) > 0) == (200, True)
        time.sleep(0.1)
    assert connection.sock is first
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


def test_the_limit_of_files_is_raised() -> None:
    """As far as the process may; a door gets a quarter."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert ran.stdout == b"(1024, 1024) 256\n"


def test_a_door_has_fewer_connections_than_there_are_files() -> None:
    """Three doors leave files to the store."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < http_server.most_connections() * 4 <= soft
