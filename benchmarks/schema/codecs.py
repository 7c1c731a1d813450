"""Rows into every table, and what each of its columns takes under each codec."""

import re

from benchmarks.schema import data
from benchmarks.schema.store import ROWS, Figures, Store

_MAKE = {
    "llm_gateway_calls": data.calls,
    "llm_requests": data.requests,
    "llm_steps": data.steps,
    "llm_kernels": data.kernels,
    "llm_step_kernels": data.step_kernels,
    "gpu_power": data.power,
}
_NUMBERS = (
    "ZSTD(1)", "LZ4", "ZSTD(3)", "Delta, ZSTD(1)", "Delta, ZSTD(3)", "DoubleDelta, ZSTD(1)",
    "T64, ZSTD(1)",
)  # fmt: skip
_TEXT = ("ZSTD(1)", "LZ4", "ZSTD(3)")


def fill(store: Store) -> Figures:
    """Rows into every table, rollups included: what a row takes, and what inserting it costs."""
    figures = {}
    for table, rows in ROWS.items():
        spent = store.fill(table, _MAKE[table](rows))
        figures[table] = {
            "rows": rows,
            "bytes_per_row": round(store.bytes(table) / rows, 1),
            "made_and_inserted_rows_per_core_s": round(rows / spent),
        }
    return figures


def codecs(store: Store) -> Figures:
    """Bytes per row of each column under each codec, in the table's own order."""
    return {table: _codecs_of(store, table, rows) for table, rows in ROWS.items()}


def _codecs_of(store: Store, table: str, rows: int) -> Figures:
    types = store.columns(table)
    keys = store.rows(
        f"""SELECT sorting_key, partition_key FROM system.tables
        WHERE database = currentDatabase() AND name = '{table}'"""
    )[0]
    needed = [name for name in types if re.search(rf"\b{name}\b", " ".join(keys.values()))]
    tried = {name: _candidates(kind) for name, kind in types.items()}
    columns = [f"{name} {types[name]}" for name in needed] + [
        f"{name}__{number} {types[name]} CODEC({codec})"
        for name, each in tried.items()
        for number, codec in enumerate(each)
    ]
    taken = [*needed, *(name for name, each in tried.items() for _ in each)]
    store.run("DROP TABLE IF EXISTS tried")
    store.run(
        f"CREATE TABLE tried ({', '.join(columns)}) ENGINE = MergeTree "
        f"PARTITION BY {keys['partition_key']} ORDER BY ({keys['sorting_key']}) "
        "SETTINGS min_bytes_for_wide_part = 0"
    )
    store.run(f"INSERT INTO tried SELECT {', '.join(taken)} FROM {table}")
    store.run("OPTIMIZE TABLE tried FINAL")
    found = store.bytes_by_column("tried")
    return {
        name: {
            codec: round(found[f"{name}__{number}"] / rows, 3) for number, codec in enumerate(each)
        }
        for name, each in tried.items()
    }


def _candidates(kind: str) -> tuple[str, ...]:
    inner = re.sub(r"^(Nullable|Array)\((.*)\)$", r"\2", kind)
    if "String" in inner or inner == "Bool":
        return _TEXT
    # T64 is of whole numbers, and not of arrays.
    whole = not kind.startswith("Array") and "Float" not in inner
    return _NUMBERS if whole else tuple(codec for codec in _NUMBERS if "T64" not in codec)
