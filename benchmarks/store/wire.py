"""What each compression of a block on its way to ClickHouse costs and saves."""

import statistics
import time
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from benchmarks.store.blocks import block
from otel_llm.conventions import Tables

CODECS = {"lz4": ("lz4", None), "zstd 1": ("zstd", 1), "zstd 3": ("zstd", 3), "gzip 6": ("gzip", 6)}
BLOCKS = {"100 steps": (Tables.STEPS, 100), "20 requests": (Tables.REQUESTS, 20)}
"""About what one engine makes in the second between two deliveries."""
_TRIES = 51


def costs(client: Client) -> dict[str, dict[str, Any]]:
    """Bytes of a block as it is and under each codec, and microseconds to compress it."""
    found: dict[str, dict[str, Any]] = {}
    for name, (table, rows) in BLOCKS.items():
        body = block(client, table, rows)
        found[name] = {"plain": {"bytes": len(body), "us": 0.0}}
        for codec, (kind, level) in CODECS.items():
            found[name][codec] = _cost(pa.Codec(kind, compression_level=level), body)
    return found


def _cost(codec: pa.Codec, body: bytes) -> dict[str, float]:
    took = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        packed = codec.compress(body, asbytes=True)
        took.append((time.perf_counter() - began) * 1e6)
    return {"bytes": len(packed), "us": round(statistics.median(took), 1)}
