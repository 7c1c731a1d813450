"""The agent as `otel-llm agent`; on SIGUSR1 its threads take the names they have in Python.

The kernel tells the CPU time of each thread, and Python 3.11 tells it no names.
"""

import signal
import sys
import threading
from pathlib import Path

from otel_llm.cli.main import main


def _name_threads(*_: object) -> None:
    for thread in threading.enumerate():
        Path(f"/proc/self/task/{thread.native_id}/comm").write_text(thread.name, encoding="utf-8")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _name_threads)
    sys.argv[1:1] = ["agent"]
    main()
