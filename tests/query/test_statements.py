"""The statements themselves, and how a store's refusal is told."""

import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from otel_llm.conventions import ALL_TABLES
from otel_llm.errors import StoreError
from otel_llm.query.rows import Call, Death
from otel_llm.query.statements import ask, statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

NAMES = sorted(
    file.name.removesuffix(".sql")
    for file in resources.files("otel_llm.query").joinpath("sql").iterdir()
)

SPAN_TABLES = {"otel_traces", "otel_traces_trace_id_ts"}


@pytest.mark.parametrize("name", NAMES)
def test_statements_read_fact_tables_alone(name: str) -> None:
    """Each file is one SELECT over the tables of the conventions, and says what it is for."""
    text = statement(name)
    tables = set(re.findall(r"(?:FROM|(?<!ARRAY )JOIN)\s+([a-z]\w+)", text)) - {"tries"}
    assert tables
    spans = SPAN_TABLES if name in ("native_spans", "trace_bounds", "trace_spans") else set()
    assert tables <= {table.name for table in ALL_TABLES} | spans
    assert text.startswith("-- ")
    assert ";" not in text


def test_a_missing_table_advises_the_schema(store: "Client") -> None:
    """Whoever asks a store without tables learns how to make them."""
    store.command("RENAME TABLE llm_engine_events TO gone_for_a_moment")
    try:
        with pytest.raises(StoreError, match="otel-llm schema apply"):
            ask(store, "deaths", Death, instances=["x"])
    finally:
        store.command("RENAME TABLE gone_for_a_moment TO llm_engine_events")


def test_a_refusal_is_one_line(store: "Client") -> None:
    """Other refusals are told in the store's first line."""
    with pytest.raises(StoreError, match="refused") as caught:
        ask(store, "calls", Call)
    assert "\n" not in str(caught.value)
