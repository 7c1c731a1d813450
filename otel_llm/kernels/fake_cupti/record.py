"""Make a recording for the fake libcupti from a PyTorch profiler (Kineto) trace.

    python -m otel_llm.kernels.fake_cupti.record TRACE.json.gz OUT.bin [KERNELS]

The recording: magic `FAKECUPT`, number of rows and of names (u32 each), rows of 24 bytes (bytes
u64, duration_ns u32, name u32, stream u16, kind u8, device u8, unused u32), then each name as
length u32 and UTF-8.
"""

import gzip
import json
import struct
import sys
from pathlib import Path
from typing import Any

MAGIC = b"FAKECUPT"
ROW = struct.Struct("<QIIHBBI")
KINDS = {"kernel": 10, "gpu_memcpy": 1, "gpu_memset": 2}


def record(trace: dict[str, Any], kernels: int) -> bytes:
    """The recording of a trace's first kernels, in order of start.

    Args:
        trace: the decoded JSON of a Kineto trace.
        kernels: most rows to take.
    """
    events = [each for each in trace["traceEvents"] if each.get("cat") in KINDS]
    events.sort(key=lambda each: each["ts"])
    names: dict[str, int] = {}
    rows = b"".join(_row(each, names) for each in events[:kernels])
    texts = [name.encode() for name in names]
    heads = MAGIC + struct.pack("<II", len(rows) // ROW.size, len(texts))
    return heads + rows + b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _row(event: dict[str, Any], names: dict[str, int]) -> bytes:
    arguments = event["args"]
    name = names.setdefault(event["name"], len(names))
    duration_ns = round(event["dur"] * 1000)
    size = int(arguments.get("bytes", 0))
    stream, device = int(arguments["stream"]), int(arguments["device"])
    return ROW.pack(size, duration_ns, name, stream, KINDS[event["cat"]], device, 0)


def main() -> None:
    """Read a trace, write its recording."""
    source, target, *rest = sys.argv[1:]
    with gzip.open(source, "rt", encoding="utf-8") as file:
        trace = json.load(file)
    Path(target).write_bytes(record(trace, int(rest[0]) if rest else 1500))


if __name__ == "__main__":
    main()
