"""Where a segment is cut: once for all versions, because the cut names the blocks."""

from otel_llm.collector.decoder import Signal
from otel_llm.collector.drain.batch import batches
from otel_llm.collector.spool import Entry


def entry(signal: Signal, expanded_mib: int) -> Entry:
    """A small request whose rows may take so much."""
    return Entry(signal, 1, expanded_mib << 20, b"", b"x")


def test_a_segment_is_cut_as_older_versions_cut_it() -> None:
    """These names are in the deduplication logs of stores that were killed in the middle."""
    sizes: dict[Signal, tuple[int, ...]] = {"traces": (100, 100, 56, 1, 300, 10), "logs": (256, 1)}
    entries = [entry(signal, mib) for signal, all_of_it in sizes.items() for mib in all_of_it]
    assert [batch.name for batch in batches("7", entries)] == [
        "7/traces/0-2",
        "7/traces/3-3",
        "7/traces/4-4",
        "7/traces/5-5",
        "7/logs/0-0",
        "7/logs/1-1",
    ]
