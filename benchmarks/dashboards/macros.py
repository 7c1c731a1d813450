"""What Grafana makes of a panel's query before a server sees it.

Not all modules of the data source's Go code can be had, so its macros are done again. Each is held
to the forms in `pkg/macros/macros.go` of grafana/clickhouse-datasource 4. Variables are put in as
`@grafana/data` does, in the formats that our boards use.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

_MACRO = re.compile(r"\$__(fromTime_ms|toTime_ms|fromTime|toTime|interval_s)\b")
_BRACED = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_PLAIN = re.compile(r"\$([a-z]\w*)\b")


class Range(NamedTuple):
    """What a reader looks at.

    Attributes:
        from_ms: begin, in milliseconds of the epoch.
        to_ms: end.
        interval_s: length of one point, in seconds.
        rate_s: window of PromQL's rates, in seconds.
    """

    from_ms: int
    to_ms: int
    interval_s: int
    rate_s: int


def sql(text: str, looked_at: Range, chosen: Mapping[str, str]) -> str:
    """SQL as it reaches ClickHouse.

    Args:
        text: with macros and variables.
        looked_at: the time range.
        chosen: values of the variables.

    Raises:
        KeyError: a variable has no value.
        ValueError: a macro is left that nobody expands.
    """
    expanded = _MACRO.sub(lambda match: _macro(match[1], looked_at), _inserted(text, chosen))
    if "$__" in expanded:
        message = f"unknown macro: {expanded[expanded.index('$__') :][:40]!r}"
        raise ValueError(message)
    return expanded


def promql(text: str, looked_at: Range, chosen: Mapping[str, str]) -> str:
    """PromQL as it reaches Prometheus.

    Raises:
        KeyError: a variable has no value.
    """
    seconds = max(1, (looked_at.to_ms - looked_at.from_ms) // 1000)
    text = text.replace("$__rate_interval", f"{looked_at.rate_s}s")
    return _inserted(text.replace("$__range", f"{seconds}s"), chosen)


def _macro(name: str, looked_at: Range) -> str:
    if name == "interval_s":
        return str(max(1, looked_at.interval_s))
    moment = looked_at.from_ms if name.startswith("from") else looked_at.to_ms
    if name.endswith("_ms"):
        return f"fromUnixTimestamp64Milli({moment})"
    return f"toDateTime({moment // 1000})"


def _inserted(text: str, chosen: Mapping[str, str]) -> str:
    text = _BRACED.sub(lambda match: _formatted(chosen[match[1]], match[2] or ""), text)
    return _PLAIN.sub(lambda match: chosen[match[1]], text)


def _formatted(value: str, how: str) -> str:
    if how == "percentencode":  # encodeURIComponent, and !'()* too
        return quote(value, safe="-_.~")
    if how:
        message = f"our boards use no format {how!r}"
        raise ValueError(message)
    return value
