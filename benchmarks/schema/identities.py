"""Identity on every row, in part or whole, beside a table of processes to join with."""

from benchmarks.schema.store import ROWS, Figures, Store
from otel_llm.conventions.identity import IDENTITY, IDENTITY_SINCE

TABLES = ("llm_requests", "llm_steps", "llm_kernels", "llm_step_kernels")
FEW = ("k8s_namespace", "k8s_pod", "k8s_node", "model_version")
ALL = tuple(told.column.name for told in (*IDENTITY, *IDENTITY_SINCE))
_TYPES = {told.column.name: told.column.type for told in (*IDENTITY, *IDENTITY_SINCE)}
_TEXT = "concat('{0}-', substring(instance_id, 1, 24))"
"""A text of 30 characters or so that is the same for all rows of a process."""


def identities(store: Store) -> Figures:
    """Bytes per row and CPU of each shape, by table; and a pod's requests by column and by join."""
    figures: Figures = {table: _shapes(store, table) for table in TABLES}
    figures["llm_requests of a pod in an hour"] = _asked(store)
    store.run("DROP TABLE wide")
    return figures


def _shapes(store: Store, table: str) -> Figures:
    shapes: dict[str, tuple[str, ...]] = {
        "none": (),
        "4 columns": FEW,
        f"all {len(ALL)} columns": ALL,
    }
    return {name: _taken(store, table, columns) for name, columns in shapes.items()}


def _taken(store: Store, table: str, columns: tuple[str, ...]) -> Figures:
    store.run("DROP TABLE IF EXISTS wide")
    store.run(f"CREATE TABLE wide AS {table}")
    for name in columns:
        store.run(f"ALTER TABLE wide ADD COLUMN {name} {_TYPES[name]} CODEC(ZSTD(1))")
    texts = "".join(f", {_TEXT.format(name)} AS {name}" for name in columns)
    spent = store.cpu_seconds(f"INSERT INTO wide SELECT *{texts} FROM {table}")
    store.run("OPTIMIZE TABLE wide FINAL")
    taken = store.bytes("wide") / ROWS[table]
    return {
        "bytes_per_row": round(taken, 2),
        "inserted_rows_per_core_s": round(ROWS[table] / spent),
    }


def _asked(store: Store) -> Figures:
    """The four columns stand on `wide`, a copy of the requests."""
    _taken(store, "llm_requests", FEW)
    store.run(
        f"""INSERT INTO llm_producers (instance_id, time, k8s_pod)
        SELECT DISTINCT instance_id, now64(9), {_TEXT.format("k8s_pod")} FROM llm_requests"""
    )
    store.run(
        """INSERT INTO llm_producers (instance_id, time, k8s_pod)
        SELECT lower(hex(sipHash128(number))), now64(9), 'another' FROM numbers(10000)"""
    )
    pod = store.run("SELECT k8s_pod FROM wide LIMIT 1")
    hour = "arrival >= '2026-09-21 12:00:00' AND arrival < '2026-09-21 13:00:00'"
    told = "count(), quantile(0.95)(output_tokens)"
    join = "llm_requests INNER JOIN llm_producers USING (instance_id)"
    by_column = store.ask(f"SELECT {told} FROM wide WHERE {hour} AND k8s_pod = '{pod}'")
    by_join = store.ask(f"SELECT {told} FROM {join} WHERE {hour} AND k8s_pod = '{pod}'")
    return {"by column": by_column._asdict(), "by join": by_join._asdict()}
