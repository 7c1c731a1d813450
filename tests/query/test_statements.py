"""The statements themselves, and how a store's refusal is told."""

import re
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
from clickhouse_connect.driver.models import SettingDef

from otel_llm.conventions import ALL_TABLES
from otel_llm.errors import StoreError
from otel_llm.query.rows import Call, Death
from otel_llm.query.sql import text as statement
from otel_llm.query.statements import ask

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_FOLDER = resources.files("otel_llm.query.sql")
NAMES = sorted(
    file.name.removesuffix(".sql") for file in _FOLDER.iterdir() if file.name.endswith(".sql")
)
BOARD_NAMES = sorted(
    f"boards/{file.name.removesuffix('.sql')}" for file in _FOLDER.joinpath("boards").iterdir()
)

SPAN_TABLES = {"otel_traces", "otel_traces_trace_id_ts"}
ROLLUPS = {"llm_requests_1m", "llm_gateway_calls_1m"}


@pytest.mark.parametrize("name", NAMES)
def test_statements_read_fact_tables_alone(name: str) -> None:
    """Each file is one SELECT over the tables of the conventions, and says what it is for.

    Two of them ask of days, and read rollups.
    """
    text = statement(name)
    tables = set(re.findall(r"(?:FROM|(?<!ARRAY )JOIN)\s+([a-z]\w+)", text)) - {"tries", "mine"}
    assert tables
    spans = SPAN_TABLES if name in ("native_spans", "trace_bounds", "trace_spans") else set()
    rollups = ROLLUPS if name in ("traffic", "usage") else set()
    assert tables <= {table.name for table in ALL_TABLES} | spans | rollups
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


SKIP = "use_skip_indexes_on_data_read"


class Sent(NamedTuple):
    """A client that keeps the settings of questions."""

    server_settings: dict[str, SettingDef]
    settings: list[dict[str, int]]

    def query(self, _sql: str, parameters: object, settings: dict[str, int]) -> "Sent":
        """Keep them."""
        assert parameters is not None
        self.settings.append(settings)
        return self

    def named_results(self) -> list[object]:
        """No rows."""
        return []


def test_a_setting_is_sent_where_it_is_known_and_free(store: "Client") -> None:
    """An older server, and a user who may only read, are asked without it."""
    here = store.server_settings[SKIP]
    assert not here.readonly
    fixed = SettingDef(SKIP, here.value, 1)
    for known, sent in (({SKIP: here}, {SKIP: 0}), ({SKIP: fixed}, {}), ({}, {})):
        client = Sent(known, [])
        ask(cast("Client", client), "deaths", Death, instances=["x"])
        assert client.settings == [sent]


def test_a_refusal_is_one_line(store: "Client") -> None:
    """Other refusals are told in the store's first line."""
    with pytest.raises(StoreError, match="refused") as caught:
        ask(store, "calls", Call)
    assert "\n" not in str(caught.value)
