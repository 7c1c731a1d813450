"""Listening sockets."""

import asyncio
import socket

import pytest

from otel_llm.errors import SettingError
from otel_llm.sockets import listen


async def test_accepted_connections_do_not_wait_for_acknowledgements() -> None:
    """Asyncio switches Nagle's algorithm off for connections of such a listener."""
    options: list[int] = []

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        options.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = listen("127.0.0.1", 0)
    async with await asyncio.start_server(accepted, sock=listener):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        await reader.read()
        writer.close()
    assert options == [1]


def test_a_taken_port_is_an_error_that_names_the_setting() -> None:
    """The error says which setting to change."""
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"agent_port: cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port, "agent_port")
