"""Blocks, as the store gives their rows back."""

import json
from typing import Any

from otel_llm.collector.decoder import COLUMNS, NativeBlock, Signal, _native, decode
from otel_llm.exporters.clickhouse.engine import Engine

Row = dict[str, Any]
SETTINGS = {
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_denormals": "1",
    "date_time_output_format": "unix_timestamp",
}


def stored(engine: Engine, signal: Signal, *bodies: bytes) -> dict[str, list[Row]]:
    """The rows of each table once requests are decoded together and stored; sorted."""
    return {block.table: _rows(engine, block) for block in decode(signal, bodies)}


def _rows(engine: Engine, block: NativeBlock) -> list[Row]:
    columns = ", ".join(f"`{name}`" for name in COLUMNS[block.table])
    with engine.session() as handle:
        handle.run(f"TRUNCATE TABLE {block.table}")
        handle.insert(f"INSERT INTO {block.table} ({columns})", "Native", block.body)
        handle.set(SETTINGS)
        lines = handle.run(f"SELECT {columns} FROM {block.table}", "JSONEachRow")
    doubles = [name for name, kind in _native.columns()[block.table] if "Float64" in kind]
    return in_order([_as_sent(json.loads(line), doubles) for line in lines.splitlines()])


def _as_sent(row: Row, doubles: list[str]) -> Row:
    """A row whose doubles are such again: ClickHouse shows whole ones without a point."""
    return row | {name: _double(row[name]) for name in doubles}


def _double(shown: Any) -> Any:  # noqa: ANN401  a number, its name or a list of these
    if isinstance(shown, list):
        return [_double(each) for each in shown]
    return shown if isinstance(shown, str) else float(shown)


def in_order(rows: list[Row]) -> list[Row]:
    """Rows in an order of their own: a table has none."""
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
