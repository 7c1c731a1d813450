"""How much memory the decoder takes, measured in a process of its own."""

import subprocess
import sys

_CHILD = """
import sys
from contextlib import suppress
from otel_llm.collector import decoder

def peak():
    # Not ru_maxrss: a new process inherits it from the one that started it.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))

body = sys.stdin.buffer.read()
before = peak()
with suppress(decoder.OversizeError):
    decoder.{call}
print(peak() - before)
"""


def grown(call: str, body: bytes) -> int:
    """Bytes by which a process grows at most in a call of the decoder, which sees `body`."""
    command = [sys.executable, "-c", _CHILD.format(call=call)]
    return int(subprocess.run(command, input=body, capture_output=True, check=True).stdout)
