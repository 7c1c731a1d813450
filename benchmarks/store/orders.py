"""What the order of spans costs and gives: the same rows in several orders and granules."""

import random
import statistics
import time
from typing import Any

from clickhouse_connect.driver.client import Client

from benchmarks.store.fill import Size
from benchmarks.store.measure import HOUR_NS, rows_read, trace_id
from otel_llm.query.spans import trace_spans

COLLECTOR = "ServiceName, SpanName, toDateTime(Timestamp)"
CHOSEN = "ServiceName, toStartOfFiveMinutes(Timestamp), TraceId, Timestamp"
ORDERS = (
    (COLLECTOR, 8192),
    (COLLECTOR, 1024),
    ("toStartOfFiveMinutes(Timestamp), TraceId, Timestamp", 1024),
    (CHOSEN, 8192),
    (CHOSEN, 1024),
    (CHOSEN, 256),
)
TRACES, QUESTIONS = 25, 9

_OF_A_SERVICE = """SELECT count(), quantile(0.95)(Duration) FROM otel_traces
WHERE ServiceName = 'engine-1' AND SpanName = 'llm.decode'
    AND Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})"""
_BY_ATTRIBUTE = """SELECT SpanName, count() FROM otel_traces
WHERE SpanAttributes['otel_llm.tenant'] = 'tenant-7'
    AND Timestamp >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({until_ns:Int64})
GROUP BY SpanName"""


def orders(client: Client, size: Size) -> list[dict[str, Any]]:
    """Bytes per span, and median milliseconds and rows read of three questions, by order.

    The store's own table stands aside meanwhile.
    """
    client.command("RENAME TABLE otel_traces TO spans_aside")
    try:
        return [_order(client, size, order, granule) for order, granule in ORDERS]
    finally:
        client.command("RENAME TABLE spans_aside TO otel_traces")


def _order(client: Client, size: Size, order: str, granule: int) -> dict[str, Any]:
    ddl = str(client.command("SHOW CREATE TABLE spans_aside FORMAT TSVRaw"))
    ddl = ddl.replace("spans_aside", "otel_traces", 1)
    ddl = ddl.replace(f"ORDER BY ({CHOSEN})", f"ORDER BY ({order})")
    client.command(ddl.replace("index_granularity = 1024", f"index_granularity = {granule}"))
    try:
        client.command("INSERT INTO otel_traces SELECT * FROM spans_aside")
        client.command("OPTIMIZE TABLE otel_traces FINAL")
        return {"order": order, "granule": granule, **_figures(client, size)}
    finally:
        client.command("DROP TABLE otel_traces")


def _figures(client: Client, size: Size) -> dict[str, Any]:
    rng = random.Random("orders")
    weight = client.command(
        "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table = 'otel_traces'"
    )
    traces = [trace_id(rng.randrange(size.requests)) for _ in range(TRACES)]
    found = {"bytes_per_span": round(float(str(weight)), 1)}
    found |= _asked(client, "trace", [lambda t=t: trace_spans(client, t) for t in traces])
    since = [rng.randrange(size.base_ns, size.end_ns) - HOUR_NS // 2 for _ in range(QUESTIONS)]
    for name, sql in (("of_a_service", _OF_A_SERVICE), ("by_attribute", _BY_ATTRIBUTE)):
        given = [{"since_ns": one, "until_ns": one + HOUR_NS} for one in since]
        asks = [lambda p=p, sql=sql: client.query(sql, parameters=p) for p in given]
        found |= _asked(client, name, asks)
    return found


def _asked(client: Client, name: str, asks: list[Any]) -> dict[str, float]:
    before, took = rows_read(client), []
    for ask in asks:
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
    rows = (rows_read(client) - before) // len(asks)
    return {f"{name}_ms": round(statistics.median(took), 1), f"{name}_rows": rows}
