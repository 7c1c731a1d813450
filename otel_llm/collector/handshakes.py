"""Accepts connections and shakes hands, so that a handshake that hangs counts as a connection.

asyncio's own server knows of a TLS connection only once its handshake is over, and waits a minute
for that: whoever connects and says nothing would take files without bound.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

_PAUSE_S = 1.0
"""Wait after a failure to accept: no more files, mostly."""


class Handshakes:
    """Accepts on a socket until `stop`.

    Args:
        listener: listens already, and does not block.
        context: the server's side of TLS.
        protocol: makes the protocol of a connection whose handshake is over.
        limit_s: most time for a handshake, in seconds.
        room: how many handshakes may be under way now. Past it the oldest is broken off.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        protocol: Callable[[], asyncio.Protocol],
        limit_s: float,
        room: Callable[[], int],
    ) -> None:
        self._listener, self._context, self._protocol = listener, context, protocol
        self._limit_s, self._room = limit_s, room
        self._under_way: dict[asyncio.Task[None], socket.socket] = {}
        self._accepting = asyncio.create_task(self._accept())

    @property
    def count(self) -> int:
        """Handshakes under way."""
        return len(self._under_way)

    async def stop(self) -> None:
        """Accept no more, and break off what is under way."""
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        while self._under_way:
            await self._break_off()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(_PAUSE_S)
                continue
            if self._under_way and self.count >= self._room():
                await self._break_off()
            task = loop.create_task(self._shake(connection))
            self._under_way[task] = connection
            task.add_done_callback(self._forget)

    async def _break_off(self) -> None:
        """End the oldest handshake by ending its connection.

        A task that is cancelled before its transport has begun leaves asyncio with an open socket.
        """
        task, connection = next(iter(self._under_way.items()))
        with contextlib.suppress(OSError):  # the other side has gone
            connection.shutdown(socket.SHUT_RDWR)
        await asyncio.wait([task])
        self._forget(task)

    async def _shake(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._context, ssl_handshake_timeout=self._limit_s
            )
        except OSError:  # no TLS, too old, too slow, or gone: the caller's affair
            connection.close()

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._under_way.pop(task, None)
