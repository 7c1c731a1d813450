"""Later files that change tables: applied once, resumable, with the rows kept, on a cluster too."""

from typing import TYPE_CHECKING

import pytest

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse import schema

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.exporters.clickhouse.schema.conftest import AddFiles

COLUMN = (
    "-- Where it ran.\nALTER TABLE gpu_events ADD COLUMN IF NOT EXISTS rack String DEFAULT 'r'\n"
)
INDEX = "ALTER TABLE gpu_events ADD INDEX IF NOT EXISTS idx_rack rack TYPE set(9) GRANULARITY 1\n"


def test_a_column_is_added_and_the_rows_stay(own: "Client", add_files: "AddFiles") -> None:
    """Rows of before have the new column's default; every command goes on working."""
    own.command(
        "INSERT INTO gpu_events (device, time) SELECT toString(number), now() FROM numbers(3)"
    )
    names = add_files(COLUMN, INDEX)
    assert [each.name for each in schema.pending(own)] == names
    assert [each.name for each in schema.apply(own)] == names
    own.command("INSERT INTO gpu_events (device, time, rack) SELECT '3', now(), 'q'")
    asked = "SELECT groupArray((device, rack)) FROM (SELECT * FROM gpu_events ORDER BY device)"
    rows = [("0", "r"), ("1", "r"), ("2", "r"), ("3", "q")]
    assert own.query(asked).result_rows == [(rows,)]
    assert (schema.pending(own), schema.differences(own)) == ((), ())
    assert (schema.apply(own), schema.apply_retention(own, ())) == ((), ())


def test_a_run_killed_after_the_alter_is_taken_up(
    own: "Client", add_files: "AddFiles", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The column is there and not recorded, or neither: the next run ends well."""
    names = add_files(COLUMN, INDEX)
    command = own.command
    for killed_at in ("INSERT", "ALTER TABLE gpu_events ADD INDEX"):

        def killing(sql: str, killed_at: str = killed_at) -> object:
            if sql.startswith(killed_at):
                raise KeyboardInterrupt
            return command(sql)

        monkeypatch.setattr(own, "command", killing)
        with pytest.raises(KeyboardInterrupt):
            schema.apply(own)
    monkeypatch.setattr(own, "command", command)
    assert [each.name for each in schema.apply(own)] == names[1:]
    assert (schema.pending(own), schema.differences(own)) == ((), ())


def test_a_table_dropped_since_is_made_again_as_it_was_changed(
    own: "Client", add_files: "AddFiles"
) -> None:
    """The file that makes it is run again, and the files that changed it."""
    add_files(COLUMN, INDEX)
    schema.apply(own)
    own.command("DROP TABLE gpu_events")
    todo = schema.pending(own)
    assert [each.table for each in todo] == ["gpu_events"] * 5
    assert schema.apply(own) == todo
    assert own.command("SELECT count() FROM gpu_events WHERE rack = ''") == 0
    assert (schema.pending(own), schema.differences(own)) == ((), ())


def test_a_column_missing_though_recorded_is_a_difference(
    own: "Client", add_files: "AddFiles"
) -> None:
    """Somebody dropped what a file had added: it is named, and apply refuses."""
    add_files(COLUMN)
    schema.apply(own)
    own.command("ALTER TABLE gpu_events DROP COLUMN rack")
    assert [str(each) for each in schema.differences(own)] == ["gpu_events: has no column rack"]
    with pytest.raises(StoreError, match="gpu_events: has no column rack"):
        schema.apply(own)


def test_a_table_that_still_differs_after_its_alter_is_refused(
    own: "Client", add_files: "AddFiles"
) -> None:
    """What a pending file changes is compared once it has run."""
    own.command("ALTER TABLE gpu_events MODIFY COLUMN message Nullable(String)")
    add_files(COLUMN)
    with pytest.raises(
        StoreError, match=r"gpu_events: message is Nullable\(String\), not String\."
    ):
        schema.apply(own)
    assert schema.pending(own) == ()


def test_a_rollup_gets_a_column(own: "Client", add_files: "AddFiles") -> None:
    """The table and what its view selects are changed; what comes from then on is in the column."""
    name = "llm_request_energy_1m_mv"
    [view] = [each.sql for each in schema.statements() if each.table == name]
    query = view[view.index("SELECT") :].replace(
        "sum(e.energy_mj)", "sum(1) AS shares, sum(e.energy_mj)"
    )
    kind = "SimpleAggregateFunction(sum, UInt64)"
    add_files(
        f"ALTER TABLE llm_requests_1m ADD COLUMN IF NOT EXISTS shares {kind}\n",
        f"ALTER TABLE {name} MODIFY QUERY\n{query}",
    )
    schema.apply(own)
    own.command("INSERT INTO llm_request_energy (finished) SELECT now64(9) FROM numbers(3)")
    assert own.command("SELECT sum(shares) FROM llm_requests_1m") == 3
    assert (schema.pending(own), schema.differences(own)) == ((), ())
    [changed] = schema.rendered(schema.statements()[-1], "blue", "x")
    assert changed.startswith(f"ALTER TABLE {name} ON CLUSTER 'blue' MODIFY QUERY\nSELECT")
    assert "FROM llm_request_energy_local AS e" in changed


def test_on_a_cluster(own: "Client", add_files: "AddFiles") -> None:
    """A column is added to the local and then to the distributed table, an index to the local."""
    add_files(COLUMN, INDEX)
    column, index = (schema.rendered(each, "blue", "x") for each in schema.statements()[-2:])
    assert [sql.splitlines()[-1].split(" ADD ")[0] for sql in (*column, *index)] == [
        "ALTER TABLE gpu_events_local ON CLUSTER 'blue'",
        "ALTER TABLE gpu_events ON CLUSTER 'blue'",
        "ALTER TABLE gpu_events_local ON CLUSTER 'blue'",
    ]
    for sql in (*column, *index):
        own.query("SELECT formatQuery({sql:String})", parameters={"sql": sql})


def test_a_file_that_does_neither_is_an_error(own: "Client", add_files: "AddFiles") -> None:
    """A file makes or changes a table or view; another is named and not run."""
    [name] = add_files("SELECT 1\n")
    with pytest.raises(ValueError, match=name):
        schema.apply(own)
