"""Profiles for tests: Kineto's JSON, and an nsys export by its documented schema."""

import json
import sqlite3
from pathlib import Path
from typing import Any

GEMM = "void cutlass::Kernel2<cutlass_80_tensorop_f16_s16816gemm_f16_128x128_32x4_tn_align8>()"
NCCL = "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
T0_US = 1_795_000_000_000_000
"""A time of day in 2026, in microseconds."""


def event(cat: str, name: str, ts: str, dur: str, **args: Any) -> str:  # noqa: ANN401
    """One complete event, its times as they shall stand in the file."""
    told = json.dumps({"name": name, "args": args})[1:-1]
    return f'{{"ph": "X", "cat": "{cat}", "pid": 0, "tid": 7, "ts": {ts}, "dur": {dur}, {told}}}'


def two_steps() -> list[str]:
    """Two marked steps: a GEMM and an overlapping all-reduce, then one GEMM launched late."""
    return [
        event("user_annotation", "ProfilerStep#11", f"{T0_US}.000", "100.000"),
        event("user_annotation", "ProfilerStep#12", f"{T0_US + 100}.000", "100.000"),
        event("cuda_runtime", "cudaLaunchKernel", f"{T0_US + 10}.001", "4.5", correlation=1),
        event("cuda_runtime", "cudaLaunchKernel", f"{T0_US + 12}.000", "4.5", correlation=2),
        event("cuda_driver", "cuLaunchKernel", f"{T0_US + 150}.000", "4.5", correlation=3),
        event("kernel", GEMM, f"{T0_US + 20}.123", "10.5", device=0, stream=7, correlation=1),
        event("kernel", NCCL, f"{T0_US + 25}.123", "10.5", device=0, stream=9, correlation=2),
        # Runs in the second step by the clock, but the first one's call launched it.
        event("gpu_memcpy", "Memcpy DtoD (Device -> Device)", f"{T0_US + 120}.000", "1", device=0,
              stream=7, correlation=1),
        event("kernel", GEMM, f"{T0_US + 160}.000", "2.000", device=0, stream=7, correlation=3),
        event("kernel", GEMM, f"{T0_US + 190}.000", "2.000", device=0, stream=7, correlation=99),
    ]  # fmt: skip


def trace(events: list[str], **head: Any) -> str:  # noqa: ANN401
    """A trace file's text; some of the head comes before the events, some behind."""
    outer = {"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "H100"}]}
    begin = json.dumps({**outer, **head})[:-1]
    return f'{begin},\n "traceEvents": [\n{",".join(events)}\n],\n "traceName": "t.json"}}\n'


def nsys_export(path: Path, *, old: bool = False) -> Path:
    """An export with two NVTX steps, a graph launch of two kernels, a copy and a fill.

    Args:
        path: of the file.
        old: as older versions made it: without start time, host, graphs and process ids.
    """
    own = "" if old else ", globalPid INT, graphId INT, graphNodeId INT"
    connection = sqlite3.connect(path)
    connection.executescript(f"""
        CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INT, end INT, deviceId INT, contextId INT,
            streamId INT, correlationId INT, demangledName INT, shortName INT{own});
        CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (start INT, end INT, deviceId INT, streamId INT,
            correlationId INT, bytes INT, copyKind INT);
        CREATE TABLE CUPTI_ACTIVITY_KIND_MEMSET (start INT, end INT, deviceId INT, streamId INT,
            correlationId INT, bytes INT);
        CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INT, end INT, globalTid INT,
            correlationId INT, nameId INT);
        CREATE TABLE NVTX_EVENTS (start INT, end INT, eventType INT, text TEXT, globalTid INT
            {"" if old else ", textId INT"});
        INSERT INTO StringIds VALUES (1, '{GEMM}'), (2, 'Kernel2'), (3, 'step 2');
    """)
    process = 0x01000F0000000000 + (5 << 24)
    extra = () if old else (process, 9, 1)
    marks = "?, ?, ?, ?, ?, ?"[: len("?, ?, ?, ?, ?" if old else "?, ?, ?, ?, ?, ?")]
    places = ", ".join("?" * (8 + len(extra)))
    connection.executemany(
        f"INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES ({places})",
        [(2_000, 2_500, 0, 1, 7, 41, 1, 2, *extra), (2_600, 2_900, 0, 1, 7, 41, 1, 2, *extra)],
    )
    connection.execute(
        "INSERT INTO CUPTI_ACTIVITY_KIND_MEMCPY VALUES (3000, 3100, 0, 7, 42, 64, 8)"
    )
    connection.execute("INSERT INTO CUPTI_ACTIVITY_KIND_MEMSET VALUES (3200, 3210, 0, 7, 0, 64)")
    thread = 0 if old else process + 77
    connection.executemany(
        "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (?, ?, ?, ?, 0)",
        [(1_500, 1_600, thread, 41), (2_950, 2_960, 0, 42)],
    )
    ranges = [(1_000, 2_000, 59, "step 1", 0, None), (2_900, 4_000, 59, None, 0, 3)]
    if old:
        ranges = [(1_000, 2_000, 59, "step 1", 0, None), (2_900, 4_000, 59, "step 2", 0, None)]
    connection.executemany(
        f"INSERT INTO NVTX_EVENTS VALUES ({marks})", [one[: 5 if old else 6] for one in ranges]
    )
    if not old:
        connection.executescript("""
            CREATE TABLE TARGET_INFO_SESSION_START_TIME (utcEpochNs INT, utcTime TEXT);
            INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES (1795000000000000000, '');
            CREATE TABLE TARGET_INFO_SYSTEM_ENV (name TEXT, value TEXT);
            INSERT INTO TARGET_INFO_SYSTEM_ENV VALUES ('Hostname', 'gpu-node');
        """)
    connection.commit()
    connection.close()
    return path
