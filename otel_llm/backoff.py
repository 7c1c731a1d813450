"""How long to wait before the next try."""

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0


def wait_s(failures: int, jitter: float) -> float:
    """How long to wait after so many failures in a row, in seconds.

    Args:
        failures: 1 or more.
        jitter: 0 to 1; half of the wait is left to chance, so that not all come back at once.
    """
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures, 16))
    return longest * (0.5 + jitter / 2)
