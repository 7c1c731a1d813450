"""Fills the tables of a large store that boards ask for and the store's benchmark leaves empty."""

from pathlib import Path

from benchmarks.store.fill import INSTANCES, Size, insert, open_store, settle
from otel_llm.exporters.clickhouse.schema import apply

SQL = Path(__file__).parent / "sql"
_NOTE = "boards_filled"


def fill(folder: Path) -> Size:
    """Bring a kept store to this version's schema, and fill what is empty; once for a store.

    Args:
        folder: the store, with the note of when it begins.

    Returns:
        How much is in it.
    """
    client = open_store(folder)
    try:
        apply(client)
        steps = int(str(client.command("SELECT count() FROM llm_steps")))
        size = Size(steps, int((folder / "base_ns").read_text(encoding="utf-8")))
        note = folder / _NOTE
        if not note.exists():
            for name, rows in _rows(size).items():
                for instance in range(INSTANCES):
                    insert(client, size, SQL / f"{name}.sql", rows, instance=instance)
            insert(client, size, SQL / "energy.sql", size.requests)
            settle(client)
            note.touch()
        return size
    finally:
        client.close()


def _rows(size: Size) -> dict[str, int]:
    """Rows of each instance, by statement."""
    seconds = max(1, (size.end_ns - size.base_ns) // 1_000_000_000)
    return {
        "step_kernels": size.steps // INSTANCES,
        "kernels_10s": -(-seconds // 10) * 40,
        "ledger": seconds,
        "processes": seconds,
        "devices": -(-seconds // 3600),
        "device_events": -(-seconds // 360),
        "producers": 1,
    }
