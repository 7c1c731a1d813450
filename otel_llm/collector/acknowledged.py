"""What the other side of a TCP connection has taken, as the kernel says."""

import asyncio
import socket
import struct
from typing import NamedTuple

_COUNTS = struct.Struct("=QQIII")
_COUNTS_AT = 120
"""`tcpi_bytes_acked` to `tcpi_notsent_bytes` in `struct tcp_info` (linux/tcp.h)."""


class Taken(NamedTuple):
    """What became of the bytes given to the kernel, TLS's own included.

    Attributes:
        acknowledged: those that the other side has, since the connection began.
        unsent: those that wait in the kernel until the other side has room.
    """

    acknowledged: int = 0
    unsent: int = 0


def taken(transport: asyncio.BaseTransport) -> Taken:
    """Ask the kernel. asyncio's buffers do not tell: with TLS there are two, one behind the other.

    Returns:
        Zeros once the connection is closed, or where the system does not count.
    """
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return Taken()
    size = _COUNTS_AT + _COUNTS.size
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    if len(told) < size:
        return Taken()
    acknowledged, _, _, _, unsent = _COUNTS.unpack_from(told, _COUNTS_AT)
    return Taken(acknowledged, unsent)
