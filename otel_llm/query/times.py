"""Wall times as people write them."""

from datetime import datetime, timezone

from otel_llm.clock import EpochNs


def iso(time_ns: EpochNs) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000 / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
