"""The columns that the files tell of, beside those that the engine makes of them."""

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from otel_llm.exporters.clickhouse import schema

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_llm.exporters.clickhouse.engine import Engine
    from tests.exporters.clickhouse.schema.conftest import AddFiles


def of_the_engine(client: "Client", table: str) -> dict[str, str]:
    """Type and kind of default of each column."""
    rows = client.query(f"DESCRIBE TABLE {table}").named_results()
    return {row["name"]: f"{row['type']} {row['default_type']}".strip() for row in rows}


def test_a_files_columns_are_those_that_it_makes(engine: "Engine") -> None:
    """Names, types and kinds of default, of nested columns too, in their order."""
    with closing(engine.client()) as client:
        for each in schema.statements():
            if each.creates and each.creates[0] == "TABLE":
                found = of_the_engine(client, each.table)
                assert len(found) > 2
                assert list(schema.columns(each.table).items()) == list(found.items())


def test_later_files_change_them(own: "Client", add_files: "AddFiles") -> None:
    """What ADD, MODIFY and DROP COLUMN do is told as the engine does it."""
    add_files(
        "-- One more.\nALTER TABLE llm_kernels ADD COLUMN IF NOT EXISTS lane Array(String) "
        "DEFAULT ['a'] CODEC(ZSTD(1)) AFTER name\n",
        "ALTER TABLE llm_kernels ADD COLUMN IF NOT EXISTS `more.of` LowCardinality(String)\n",
        "ALTER TABLE llm_kernels MODIFY COLUMN lane Array(LowCardinality(String)) DEFAULT ['b']\n",
        "ALTER TABLE llm_kernels DROP COLUMN IF EXISTS grid\n",
        "ALTER TABLE llm_steps ADD INDEX IF NOT EXISTS idx_seq seq TYPE minmax\n",
    )
    before = of_the_engine(own, "llm_kernels")
    schema.apply(own)
    found = of_the_engine(own, "llm_kernels")
    assert found["lane"] == "Array(LowCardinality(String)) DEFAULT"
    assert schema.columns("llm_kernels") == found != before
    assert schema.columns("llm_steps") == of_the_engine(own, "llm_steps")


def test_what_is_not_understood_is_an_error(add_files: "AddFiles") -> None:
    """A change of columns that this program cannot follow is not passed over."""
    [name] = add_files("ALTER TABLE llm_kernels RENAME COLUMN IF EXISTS name TO called\n")
    with pytest.raises(ValueError, match=name):
        schema.columns("llm_kernels")
