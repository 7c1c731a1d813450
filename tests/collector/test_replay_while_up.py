"""What was set aside, stored through the running stack."""

from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_llm.collector.decoder import check
from otel_llm.collector.drain.batch import Batch
from otel_llm.collector.drain.quarantine import Quarantine
from otel_llm.collector.drain.replay import replay
from otel_llm.collector.spool import entry_of
from otel_llm.collector.stack import Stack
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.client import connect
from tests.collector.drain.way import body_of, over_days


def test_a_running_stack_takes_it(stack: Stack, tmp_path: Path) -> None:
    """Through its ClickHouse interface; what is too large for that is told, and kept."""
    client = connect(stack.run.clickhouse_url, stack.run.token)
    quarantine = Quarantine(tmp_path / "q")
    large = KeyValue(key="k", value=AnyValue(string_value="x" * 2_000_000))
    bodies = (over_days("small", 101), body_of("large", attributes=[large]))
    for number, (body, taken) in enumerate(zip(bodies, (True, False), strict=True)):
        batch = Batch("s", "traces", number, [entry_of("traces", body, check("traces", body))])
        path = quarantine.keep_request(batch, "otel_traces")
        if taken:
            assert replay(client, path).rows == {"otel_traces": 101}
        else:
            with pytest.raises(StoreError, match=r"is refused again.*larger than"):
                replay(client, path)
        assert path.exists() is not taken
    client.close()
