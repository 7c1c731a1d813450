"""Accepting connections when the process has no file left for them."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, json, os, resource, socket, ssl
from otel_llm.collector import handshakes as module
from tests import waiting

async def main():
    loop, tries = asyncio.get_running_loop(), []
    accept = loop.sock_accept
    def counted(listener):
        tries.append(loop.time())
        return accept(listener)
    loop.sock_accept = counted
    module._PAUSE_S = 0.1
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    client = socket.create_connection(listener.getsockname())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = os.dup(0)
    os.close(used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    handshakes = module.Handshakes(listener, context, asyncio.Protocol, 30.0, lambda: 100)
    await waiting.eventually(lambda: len(tries) > 3)
    before, apart = handshakes.count, [b - a for a, b in zip(tries, tries[1:])]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await waiting.eventually(lambda: handshakes.count)
    print(json.dumps({"before": before, "apart_s": min(apart), "after": handshakes.count}))
    await handshakes.stop()
    client.close()
    listener.close()

asyncio.run(main())
"""


def test_a_failure_to_accept_is_waited_out() -> None:
    """No file is left: it tries again a little later, not all the time, and then accepts."""
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    told = json.loads(ran.stdout)
    assert (told["before"], told["after"], ran.stderr) == (0, 1, b"")
    assert told["apart_s"] > 0.09
