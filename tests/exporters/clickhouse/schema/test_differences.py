"""A store that is broken is called so: by check, by apply, and with the name of what is wrong."""

import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse import schema

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_llm.exporters.clickhouse.engine import Engine

# What matters of the table for logs that the collector's exporter made before its 0.152.
OLD_LOGS = """CREATE TABLE otel_logs (
    Timestamp DateTime64(9), TimestampTime DateTime DEFAULT toDateTime(Timestamp),
    TraceId String, SpanId String, TraceFlags UInt8, SeverityText LowCardinality(String),
    SeverityNumber UInt8, ServiceName LowCardinality(String), Body String,
    ResourceSchemaUrl LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeSchemaUrl LowCardinality(String), ScopeName String, ScopeVersion LowCardinality(String),
    ScopeAttributes Map(LowCardinality(String), String),
    LogAttributes Map(LowCardinality(String), String)
) ENGINE = MergeTree ORDER BY (ServiceName, TimestampTime, Timestamp)"""


def test_a_fresh_database_does_not_differ(own: "Client") -> None:
    """The engine's own account of what the files made is what the files say."""
    assert schema.differences(own) == ()


@pytest.mark.parametrize(
    "name", ["llm_requests_1m_mv", "llm_step_requests", "llm_kernels", "llm_requests_1m"]
)
def test_what_was_dropped_is_pending_and_made_again(own: "Client", name: str) -> None:
    """A view of a rollup, a view, a table, a rollup: missing is told, and apply mends it."""
    kind = "VIEW" if name.endswith(("_mv", "_step_requests")) else "TABLE"
    own.command(f"DROP {kind} {name}")
    assert [each.table for each in schema.pending(own)] == [name]
    assert [each.table for each in schema.apply(own)] == [name]
    assert (schema.pending(own), schema.differences(own)) == ((), ())
    own.command("INSERT INTO llm_requests (finished) SELECT now64(9)")
    assert own.command("SELECT count() FROM llm_requests_1m") == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "ALTER TABLE gpu_power DROP COLUMN power_mw",
            "gpu_power: has no column power_mw",
        ),
        (
            "ALTER TABLE gpu_events MODIFY COLUMN message Nullable(String)",
            "gpu_events: message is Nullable(String), not String",
        ),
        (
            "ALTER TABLE llm_requests_1m_mv MODIFY QUERY "
            "SELECT toStartOfMinute(finished) AS minute, toUInt64(0) AS requests FROM llm_requests",
            "llm_requests_1m_mv: selects something else",
        ),
    ],
)
def test_what_was_changed_by_hand_differs(own: "Client", change: str, told: str) -> None:
    """The table or view is named with what is wrong of it, and apply does not call it current."""
    own.command(change)
    assert [str(each) for each in schema.differences(own)] == [told]
    with pytest.raises(StoreError, match=rf"{re.escape(told)}.*docs/schema\.md"):
        schema.apply(own)


@pytest.mark.parametrize(
    "change", ["MODIFY SETTING {} = 0", "MODIFY SETTING {} = 9", "RESET SETTING {}"]
)
def test_a_window_that_is_off_is_told_and_set(own: "Client", change: str) -> None:
    """Without it a block that is sent again would be stored twice."""
    window = "non_replicated_deduplication_window"
    own.command(f"ALTER TABLE gpu_events {change.format(window)}")
    told = f"gpu_events: has no {window} = 10000"
    assert [str(each) for each in schema.differences(own)] == [told]
    schema.apply(own)
    assert schema.differences(own) == ()
    row = "INSERT INTO gpu_events (device, time) SETTINGS insert_deduplication_token = 'a' "
    for _ in range(2):
        own.command(f"{row} SELECT 'a', now64(9)")
    assert own.command("SELECT count() FROM gpu_events") == 1


def test_a_view_where_a_table_should_be(own: "Client") -> None:
    """What has the name and is something else is told as that alone."""
    own.command("DROP TABLE gpu_events")
    own.command("CREATE VIEW gpu_events AS SELECT 1 AS device")
    assert [str(each) for each in schema.differences(own)] == ["gpu_events: is View, not MergeTree"]


def test_a_column_of_somebodys_own_does_no_harm(own: "Client") -> None:
    """More columns than ours are not our business."""
    own.command("ALTER TABLE otel_logs ADD COLUMN mine String DEFAULT 'x'")
    assert schema.differences(own) == ()
    assert schema.apply(own) == ()


def test_a_table_that_an_older_collector_made_is_refused(engine: "Engine") -> None:
    """Before anything is made: its name and the columns that it lacks are told."""
    with closing(engine.client()) as client:
        client.command("CREATE DATABASE older_collector")
        client.database = "older_collector"
        client.command(OLD_LOGS)
        with pytest.raises(StoreError, match=r"otel_logs: has no column EventName, "):
            schema.apply(client)
        assert client.query("SHOW TABLES").result_rows == [("otel_logs",)]
        client.command("RENAME TABLE otel_logs TO otel_logs_before")
        assert schema.apply(client) == schema.statements()
        assert schema.differences(client) == ()
