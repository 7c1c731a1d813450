"""How long to wait before the next try."""

import random

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0

chance = random.Random().random  # noqa: S311  not a secret
"""A number from 0 to 1, for `wait_s`. Not the process's own generator: who seeds that one on every
node alike would have all of them come back at once."""


def wait_s(failures: int, jitter: float) -> float:
    """How long to wait after so many failures in a row, in seconds.

    Args:
        failures: 1 or more.
        jitter: 0 to 1; half of the wait is left to chance, so that not all come back at once.
    """
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures, 16))
    return longest * (0.5 + jitter / 2)
