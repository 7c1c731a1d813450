"""More than the store can take: bounded memory, clear answers, nothing acknowledged is lost."""

from pathlib import Path

import pytest

from benchmarks.ingest.flood import STORE_MEMORY_BYTES, flood

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SPOOL_BYTES = 16 << 20
OURS_BYTES = 512 << 20
"""What the process may hold beside the engine."""


def test_a_flood_is_bounded(tmp_path: Path) -> None:
    """At more than it stores: 429 for the rest, memory within its bound, every span stored."""
    came = flood(tmp_path / "data", seconds=12, spool_bytes=SPOOL_BYTES)
    assert set(came.answers) == {200, 429}
    assert came.rss_peak - came.rss_before < STORE_MEMORY_BYTES + OURS_BYTES
    assert came.stored == came.acknowledged > 0
