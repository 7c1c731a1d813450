"""Accepting connections when the process has no file left for them."""

import json
import subprocess
import sys

PROGRAM = """
import asyncio, json, os, resource, socket, ssl, time
from otel_llm.collector.handshakes import Handshakes

async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    client = socket.create_connection(listener.getsockname())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = os.dup(0)
    os.close(used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    handshakes = Handshakes(listener, context, asyncio.Protocol, 30.0, lambda: 100)
    began = time.process_time()
    await asyncio.sleep(0.5)
    busy, before = time.process_time() - began, handshakes.count
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await asyncio.sleep(1.5)
    print(json.dumps({"before": before, "busy_s": busy, "after": handshakes.count}))
    await handshakes.stop()
    client.close()
    listener.close()

asyncio.run(main())
"""


def test_a_failure_to_accept_is_waited_out() -> None:
    """No file is left: it tries again a little later, not all the time, and then accepts."""
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=60)
    told = json.loads(ran.stdout)
    assert (told["before"], told["after"], ran.stderr) == (0, 1, b"")
    assert told["busy_s"] < 0.2
