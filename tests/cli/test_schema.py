"""`otel-llm schema`."""

import json
from typing import TYPE_CHECKING

import pytest

from otel_llm.conventions import ALL_ROLLUPS, ALL_TABLES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.cli.conftest import Run


def test_print_has_every_table(run: "Run") -> None:
    """The printed statements make every table of the conventions, and say how long rows stay."""
    text = run("schema", "print").stdout
    for table in (*ALL_TABLES, *ALL_ROLLUPS):
        assert f"CREATE TABLE IF NOT EXISTS {table.name}\n" in text
        assert f"ALTER TABLE {table.name} MODIFY TTL " in text
    assert text.count(";\n") == text.count("-- 00") + text.count("MODIFY TTL")


def test_print_for_a_cluster(run: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cluster, from the option or the setting, each table is local and distributed."""
    text = run("schema", "print", "--cluster", "blue").stdout
    for table in ALL_TABLES:
        assert f"CREATE TABLE IF NOT EXISTS {table.name}_local ON CLUSTER 'blue'\n" in text
        assert f"CREATE TABLE IF NOT EXISTS {table.name} ON CLUSTER 'blue' AS " in text
        assert f"ALTER TABLE {table.name}_local ON CLUSTER 'blue' MODIFY TTL " in text
    monkeypatch.setenv("OTEL_LLM_CLICKHOUSE_CLUSTER", "blue")
    assert run("schema", "print").stdout == text


def test_check_and_apply(
    run_on_sample: "Run", store: "Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that is not applied makes check fail; apply mends it, once."""
    monkeypatch.setenv("OTEL_LLM_RETENTION", "*=0")
    run_on_sample("schema", "apply")
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
    missing = json.loads(result.stdout)["pending"]
    assert missing
    assert all("engine_events" in one for one in missing)
    applied = run_on_sample("schema", "apply").stdout
    assert [one for one in missing if f"applied {one}" not in applied] == []
    assert json.loads(run_on_sample("schema", "apply", "--json").stdout) == {
        "applied": [],
        "retention_s": {},
    }


def test_a_store_that_was_broken_is_not_current(
    run_on_sample: "Run", store: "Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dropped view is pending and made again; a window that is off is told and set."""
    monkeypatch.setenv("OTEL_LLM_RETENTION", "*=0")
    run_on_sample("schema", "apply")
    store.command("DROP VIEW llm_requests_1m_mv")
    assert "Not applied: 0026_llm_requests_1m_mv.sql" in run_on_sample("schema", "check").stdout
    assert run_on_sample("schema", "apply").exit_code == 0
    store.command("ALTER TABLE gpu_events MODIFY SETTING non_replicated_deduplication_window = 0")
    result = run_on_sample("schema", "check")
    told = "gpu_events: has no non_replicated_deduplication_window = 10000"
    assert (result.exit_code, f"Differs: {told}\n" in result.stdout) == (1, True)
    assert result.stderr == "Next: otel-llm schema apply\n"
    assert run_on_sample("schema", "apply").exit_code == 0
    assert run_on_sample("schema", "check").exit_code == 0


def test_a_table_that_differs_is_refused(
    run_on_sample: "Run", store: "Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check and apply name the column, and point to the page that says what to do."""
    monkeypatch.setenv("OTEL_LLM_RETENTION", "*=0")
    run_on_sample("schema", "apply")
    store.command("ALTER TABLE gpu_events MODIFY COLUMN message Nullable(String)")
    told = "message is Nullable(String), not String"
    result = run_on_sample("schema", "check")
    assert (result.exit_code, f"Differs: gpu_events: {told}\n" in result.stdout) == (1, True)
    assert "When a table differs" in result.stderr
    answer = json.loads(run_on_sample("schema", "check", "--json").stdout)
    assert (answer["current"], answer["different"]) == (False, {"gpu_events": [told]})
    result = run_on_sample("schema", "apply")
    assert (result.exit_code, told in result.stderr) == (1, True)
    store.command("DROP TABLE gpu_events")
    assert run_on_sample("schema", "apply").exit_code == 0
    assert run_on_sample("schema", "check").exit_code == 0


def test_retention(run_on_sample: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """Check tells how long rows stay and fails where the store does otherwise; apply mends it."""
    monkeypatch.setenv("OTEL_LLM_RETENTION", "*=0")
    assert run_on_sample("schema", "apply").exit_code == 0
    monkeypatch.setenv("OTEL_LLM_RETENTION", "*=0,llm_kernels=36h,gpu_power=2000d")
    result = run_on_sample("schema", "check", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["retention_pending"] == ["llm_kernels", "gpu_power"]
    assert answer["retention_s"]["llm_kernels"] == 36 * 3600
    assert answer["retention_s"]["otel_logs"] == 0
    assert "gpu_power                    keeps rows 2000 days  not applied" in (
        run_on_sample("schema", "check").stdout
    )
    applied = run_on_sample("schema", "apply").stdout
    assert "llm_kernels keeps rows 129600 s\ngpu_power keeps rows 2000 days\n" in applied
    assert run_on_sample("schema", "check").exit_code == 0


def test_a_misspelt_retention(run_on_sample: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is none is an error, and nothing is changed."""
    monkeypatch.setenv("OTEL_LLM_RETENTION", "llm_kernel=3d")
    result = run_on_sample("schema", "check")
    assert result.exit_code == 1
    assert "retention: there is no table llm_kernel" in result.stderr
