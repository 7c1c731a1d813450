"""Runs the statements of `sql/`: one file each, parameters bound by the server."""

from typing import TYPE_CHECKING, TypeVar

import msgspec

from otel_llm.errors import StoreError
from otel_llm.query import sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_SETTINGS = {"use_skip_indexes_on_data_read": 0}
"""Skip indexes are looked at once, before reading. Looked at while reading, as ClickHouse does by
default, they made a question for a trace take 33 ms in place of 9 (10 M spans, ClickHouse 26.9).
Servers before 25.9 do not know the setting, and a user with `readonly = 1` may not set it."""

Row = TypeVar("Row", bound=msgspec.Struct)


def ask(client: "Client", name: str, row: type[Row], **parameters: object) -> list[Row]:
    """Run one statement and decode its rows.

    Args:
        client: a clickhouse-connect client.
        name: the statement's file in `sql/`, without its ending.
        row: the struct that has one field per column of the result.
        parameters: values of the statement's `{name:Type}` places.

    Raises:
        StoreError: the store refused the statement or could not be reached.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError

    try:
        result = client.query(sql.text(name), parameters=parameters, settings=_settings(client))
    except ClickHouseError as error:
        raise StoreError(_explained(str(error))) from error
    return [msgspec.convert(values, row) for values in result.named_results()]


def _settings(client: "Client") -> dict[str, int]:
    """Those of `_SETTINGS` that the server knows and lets us set."""
    known = client.server_settings
    return {
        name: value
        for name, value in _SETTINGS.items()
        if name in known and not known[name].readonly
    }


def _explained(text: str) -> str:
    if "UNKNOWN_TABLE" in text or "UNKNOWN_IDENTIFIER" in text:
        return "The store's schema is missing or old. Run: otel-llm schema apply"
    first_line = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return f"The store refused a question: {first_line[:300]}"
