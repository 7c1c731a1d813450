"""From the spool into ClickHouse: many requests make a block, stored once whatever happens."""

from otel_llm.collector.drain.drainer import Drainer
from otel_llm.collector.drain.store import Store

__all__ = ["Drainer", "Store"]
