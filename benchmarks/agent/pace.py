"""How fast the machine is at the moment: a fixed piece of work.

A virtual machine's cores are often hyperthreads whose other half is somebody else's, so that the
same work takes up to twice the CPU time from one minute to the next.
"""

import time

_LENGTH = 200_000


def pace_ms() -> float:
    """CPU time of the fixed work, in milliseconds; some ten of them."""
    began = time.thread_time_ns()
    total = 0
    for number in range(_LENGTH):
        total += number & 7
    return (time.thread_time_ns() - began) / 1e6
