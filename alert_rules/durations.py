"""Durations as Prometheus writes them: 500ms, 5m, 1h, 30d."""

import re

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ONE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")


def seconds(text: str) -> float:
    """Seconds of a duration, for example 0.5 of `500ms`.

    Raises:
        ValueError: it is none, or it is zero.
    """
    match = _ONE.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        message = f"{text!r} is no duration; write for example 500ms, 5m, 1h or 30d"
        raise ValueError(message)
    return float(match[1]) * _UNITS_MS[match[2]] / 1000


def text(of_s: float) -> str:
    """The shortest text of a duration in seconds: `90s`, `5m`, `3d`."""
    of_ms = round(of_s * 1000)
    unit = next(
        (unit for unit in ("d", "h", "m", "s") if of_ms % _UNITS_MS[unit] == 0 and of_ms), "ms"
    )
    return f"{of_ms // _UNITS_MS[unit]}{unit}"
