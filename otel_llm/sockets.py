"""Listening sockets for servers that must know their port before they serve."""

import socket

from otel_llm.errors import SettingError


def listen(host: str, port: int, setting: str = "port", backlog: int = 512) -> socket.socket:
    """A TCP socket that listens.

    Its protocol number is set, which `socket.create_server` does not do: asyncio switches Nagle's
    algorithm off only for sockets that say they are TCP, and with it on each small answer waits
    40 ms for the peer's delayed acknowledgement.

    Args:
        host: address or name to listen on.
        port: port; 0 takes any free one.
        setting: the port's name, for the error.
        backlog: connections the kernel holds until they are accepted.

    Raises:
        SettingError: the address is taken, unknown or not allowed.
    """
    try:
        [family, _, _, _, address] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(backlog)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        problem = f"cannot listen on {host}:{port} ({error.strerror})"
        raise SettingError(setting, problem, "Stop what uses it, or name another port") from error
    return listener
