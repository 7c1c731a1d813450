"""Shapes: ids as text or binary, classes as arrays or rows, sketches, rollups, windows."""

from benchmarks.schema import data
from benchmarks.schema.store import ROWS, Figures, Store

_ID_TYPES = {
    "String, 32 hex digits": ("String", "trace_id", "'{}'"),
    "FixedString(32), hex": ("FixedString(32)", "trace_id", "'{}'"),
    "FixedString(16), binary": ("FixedString(16)", "unhex(trace_id)", "unhex('{}')"),
    "UInt128": (
        "UInt128", "reinterpretAsUInt128(unhex(trace_id))", "reinterpretAsUInt128(unhex('{}'))",
    ),
}  # fmt: skip


def ids(store: Store) -> Figures:
    """Ids as text or binary: bytes of a trace id, and a look-up by it."""
    some, figures = store.run("SELECT trace_id FROM llm_requests LIMIT 1 OFFSET 250000"), {}
    for name, (kind, expression, literal) in _ID_TYPES.items():
        store.run("DROP TABLE IF EXISTS ids")
        store.run(
            f"""CREATE TABLE ids (arrival DateTime64(9, 'UTC'), id {kind} CODEC(ZSTD(1)),
            INDEX i id TYPE bloom_filter(0.001) GRANULARITY 1)
            ENGINE = MergeTree ORDER BY arrival SETTINGS min_bytes_for_wide_part = 0"""
        )
        store.run(f"INSERT INTO ids SELECT arrival, {expression} FROM llm_requests")
        store.run("OPTIMIZE TABLE ids FINAL")
        asked = store.ask(f"SELECT arrival FROM ids WHERE id = {literal.format(some)}")
        taken = store.bytes_by_column("ids")["id"] / ROWS["llm_requests"]
        figures[name] = {"bytes_per_row": round(taken, 2), **asked._asdict()}
    store.run("DROP TABLE ids")
    return figures


_FLAT_KEY = "(instance_id, dp_rank, step_seq, rank, class)"
_BY_CLASS = "sum(kernel_ns) AS ns, sum(kernels) AS launches"


def classes(store: Store) -> Figures:
    """Kernel classes of a step as arrays of one row, or a row each."""
    store.run("DROP TABLE IF EXISTS flat")
    store.run(
        f"""CREATE TABLE flat ENGINE = MergeTree PARTITION BY toDate(start) ORDER BY {_FLAT_KEY}
        EMPTY AS SELECT * FROM llm_step_kernel_classes"""
    )
    spent = store.cpu_seconds("INSERT INTO flat SELECT * FROM llm_step_kernel_classes")
    store.run("CREATE TABLE again AS llm_step_kernels")
    arrays = store.cpu_seconds("INSERT INTO again SELECT * FROM llm_step_kernels")
    store.run("OPTIMIZE TABLE flat FINAL")
    steps = ROWS["llm_step_kernels"]
    asked = f"SELECT class, {_BY_CLASS} FROM {{}} GROUP BY class"
    figures = {
        "arrays": {
            "bytes_per_step_and_rank": round(store.bytes("llm_step_kernels") / steps, 1),
            "inserted_steps_per_core_s": round(steps / arrays),
            **store.ask(asked.format("llm_step_kernel_classes"))._asdict(),
        },
        "a row each": {
            "bytes_per_step_and_rank": round(store.bytes("flat") / steps, 1),
            "inserted_steps_per_core_s": round(steps / spent),
            **store.ask(asked.format("flat"))._asdict(),
        },
    }
    store.run("DROP TABLE flat")
    store.run("DROP TABLE again")
    return figures


_SKETCHES = {
    "quantiles (reservoir)": "quantiles{}(0.5, 0.95, 0.99)",
    "quantilesTDigest": "quantilesTDigest{}(0.5, 0.95, 0.99)",
    "quantilesDD 1 %": "quantilesDD{}(0.01, 0.5, 0.95, 0.99)",
    "quantilesBFloat16": "quantilesBFloat16{}(0.5, 0.95, 0.99)",
    "quantilesGK 100": "quantilesGK{}(100, 0.5, 0.95, 0.99)",
    "quantilesTiming (ms)": "quantilesTiming{}(0.5, 0.95, 0.99)",
}
_GROUP_SIZES = (4, 64, 1024, 16384)
SEEN = 1 << 18
"""Values that the states of each size have seen together."""


def sketches(store: Store) -> Figures:
    """Bytes of a state by how much it has seen, its error, and whether merging loses anything."""
    store.run("DROP TABLE IF EXISTS seen")
    store.run(
        """CREATE TABLE seen (size UInt32, g UInt32, us Float64) ENGINE = MergeTree
        ORDER BY (size, g)"""
    )
    for size in _GROUP_SIZES:
        store.run(
            f"""INSERT INTO seen SELECT {size}, number % {SEEN // size},
            round(exp(12 + 1.1 * {data.normal(f"number, {size}")})) FROM numbers({SEEN})"""
        )
    figures = {name: _sketch(store, call) for name, call in _SKETCHES.items()}
    figures["quantilesDD 1 %, in seconds"] = _sketch(store, _SKETCHES["quantilesDD 1 %"], 1e6)
    store.run("DROP TABLE seen")
    return figures


def _sketch(store: Store, call: str, per: float = 1) -> Figures:
    timing = "Timing" in call
    value = "toUInt32(us / 1000)" if timing else f"us / {per}"
    exact = "us / 1000" if timing else f"us / {per}"
    kind = f"AggregateFunction({call.format('')}, {'UInt32' if timing else 'Float64'})"
    store.run("DROP TABLE IF EXISTS sketched")
    store.run(
        f"""CREATE TABLE sketched (size UInt32, g UInt32, s {kind}) ENGINE = AggregatingMergeTree
        PARTITION BY size ORDER BY g"""
    )
    store.run(
        f"""INSERT INTO sketched SELECT size, g, {call.format("State")}({value})
        FROM seen GROUP BY size, g"""
    )
    taken = store.rows(
        """SELECT partition AS size, sum(data_compressed_bytes) / sum(rows) AS bytes
        FROM system.parts WHERE database = currentDatabase() AND table = 'sketched' AND active
        GROUP BY size"""
    )
    worst = store.rows(
        f"""SELECT max(arrayMax(arrayMap((a, b) -> abs(b / a - 1), x, y))) AS e,
            countIf(y != z) AS differ
        FROM (SELECT size, quantilesExact(0.5, 0.95, 0.99)({exact}) AS x,
                {call.format("")}({value}) AS z FROM seen WHERE size >= 1024 GROUP BY size) AS a
        JOIN (SELECT size, {call.format("Merge")}(s) AS y FROM sketched GROUP BY size) AS b
        USING (size)"""
    )[0]
    merge = f"SELECT {call.format('Merge')}(s) FROM sketched WHERE size = 64"
    return {
        "bytes": {str(row["size"]): round(row["bytes"]) for row in taken},
        "worst_error": round(worst["e"], 4),
        "merged_differs": bool(int(worst["differ"])),
        "merge_4096_states_ms": store.ask(merge).ms,
    }


def rollups(store: Store) -> Figures:
    """What a rollup takes beside its table, and what reading it saves."""
    asked = {
        "sums from the table": """SELECT toStartOfMinute(finished) AS minute, count(),
            sum(output_tokens) FROM llm_requests GROUP BY minute""",
        "sums from the rollup": """SELECT minute, sum(requests), sum(output_tokens)
            FROM llm_requests_1m GROUP BY minute""",
        "quantiles from the table": """SELECT toStartOfMinute(finished) AS minute, model,
            quantilesDD(0.01, 0.5, 0.95)(dateDiff('us', arrival, finished)), count()
            FROM llm_requests GROUP BY minute, model""",
        "quantiles from the rollup": """SELECT minute, model,
            quantilesDDMerge(0.01, 0.5, 0.95)(e2e_us), sum(requests)
            FROM llm_requests_1m GROUP BY minute, model""",
    }
    store.run("OPTIMIZE TABLE llm_requests_1m FINAL")
    rows = int(store.run("SELECT count() FROM llm_requests_1m"))
    taken = store.bytes("llm_requests_1m")
    return {
        "rows": rows,
        "requests_per_row": round(ROWS["llm_requests"] / rows, 1),
        "bytes_per_row": round(taken / rows, 1),
        "share_of_base_bytes": round(
            store.bytes("llm_requests_1m") / store.bytes("llm_requests"), 3
        ),
        **{name: store.ask(sql)._asdict() for name, sql in asked.items()},
    }


def windows(store: Store, blocks: int = 300) -> Figures:
    """What remembering blocks and filling a rollup cost small inserts, in CPU per block."""
    figures = {}
    for name, change in (
        ("window of 10000", "= 10000"), ("no window", "= 0"),
    ):  # fmt: skip
        store.run("DROP TABLE IF EXISTS small")
        store.variant("small", "llm_requests", (r"window = \d+", f"window {change}"))
        figures[name] = _small(store, "small", blocks)
    figures["with its rollup"] = _small(store, "llm_requests", blocks)
    store.run("DROP TABLE small")
    return figures


def _small(store: Store, table: str, blocks: int) -> float:
    """CPU milliseconds per inserted block of 200 rows."""
    took = 0.0
    for number in range(blocks):
        took += store.cpu_seconds(
            f"""INSERT INTO {table} SELECT * FROM llm_requests WHERE arrival > '2026-09-21 05:00:00'
            LIMIT 200 SETTINGS insert_deduplication_token = '{table} {number}'"""
        )
    return round(took / blocks * 1e3, 2)
