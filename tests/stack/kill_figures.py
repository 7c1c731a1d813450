"""What came of the kill loop, as figures."""

from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from tests.agent.test_kill import Engine
from tests.stack.kill_parts import PER_REQUEST, Sender


def count(client: Client, engine: Engine, threads: "list[Sender]") -> dict[str, int]:
    """Compare what is stored with what was acknowledged: what is missing, what is there twice.

    A request that is stored and was never acknowledged counts as doubled: each sender goes on until
    it is, so nothing else can be there.
    """
    wanted = {name for thread in threads for name in thread.acknowledged}
    sql = """SELECT name, count() FROM (
        SELECT SpanName AS name FROM
            (SELECT DISTINCT SpanName, TraceId, SpanId FROM otel_traces WHERE ServiceName = 'kill')
        UNION ALL SELECT Body FROM otel_logs WHERE ServiceName = 'kill'
        UNION ALL SELECT MetricName FROM otel_metrics_gauge WHERE ServiceName = 'kill'
        UNION ALL SELECT MetricName FROM otel_metrics_sum WHERE ServiceName = 'kill')
        GROUP BY name"""
    items = difference(dict.fromkeys(wanted, PER_REQUEST), dict(client.query(sql).result_rows))
    facts = client.query("SELECT request_index, count() FROM llm_requests GROUP BY 1").result_rows
    told = difference(dict.fromkeys(range(1, engine.requests + 1), 1), dict(facts))
    twice = "SELECT count() - uniqExact(TraceId, SpanId) FROM otel_traces"
    return {
        "acknowledged": len(wanted) * PER_REQUEST, "facts": engine.requests,
        "tries": sum(thread.tries for thread in threads),
        "lost_after_kill": items[0] + told[0],
        "doubled_after_kill": items[1] + told[1] + int(str(client.command(twice))),
    }  # fmt: skip


def difference(wanted: Mapping[Any, int], stored: Mapping[Any, int]) -> tuple[int, int]:
    """How many of the wanted are missing, and how many are there that should not be."""
    names = {*wanted, *stored}
    by_name = [stored.get(name, 0) - wanted.get(name, 0) for name in names]
    return -sum(min(0, more) for more in by_name), sum(max(0, more) for more in by_name)
