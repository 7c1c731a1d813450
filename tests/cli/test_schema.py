"""`otel-llm schema`."""

import json
from typing import TYPE_CHECKING

from otel_llm.conventions import ALL_TABLES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.cli.conftest import Run


def test_print_has_every_table(run: "Run") -> None:
    """The printed statements make every table of the conventions."""
    text = run("schema", "print").stdout
    for table in ALL_TABLES:
        assert f"CREATE TABLE IF NOT EXISTS {table.name}\n" in text
    assert text.count(";\n") == text.count("-- 00")


def test_check_and_apply(run_on_sample: "Run", store: "Client") -> None:
    """A statement that is not applied makes check fail; apply mends it, once."""
    assert run_on_sample("schema", "check").exit_code == 0
    store.command("DROP TABLE llm_engine_events")
    store.command(
        "CREATE TABLE kept ENGINE = MergeTree ORDER BY version AS "
        "SELECT * FROM schema_migrations WHERE name NOT LIKE '%engine_events%'"
    )
    store.command("TRUNCATE TABLE schema_migrations")
    store.command("INSERT INTO schema_migrations SELECT * FROM kept")
    result = run_on_sample("schema", "check", "--json")
    assert result.exit_code == 1
    (missing,) = json.loads(result.stdout)["pending"]
    assert "engine_events" in missing
    assert f"applied {missing}" in run_on_sample("schema", "apply").stdout
    assert json.loads(run_on_sample("schema", "apply", "--json").stdout) == {"applied": []}
