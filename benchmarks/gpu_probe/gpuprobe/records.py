"""CUPTI record layouts that both tracers share, and codes in words.

The offsets are those of native/cupti_min.h; a test holds the two together.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

KIND_MEMCPY, KIND_MEMSET, KIND_DRIVER, KIND_RUNTIME = 1, 2, 4, 5
KIND_CONCURRENT_KERNEL, KIND_OVERHEAD, KIND_GRAPH_TRACE = 10, 17, 51
DOMAIN_DRIVER, DOMAIN_RUNTIME = 1, 2
DOMAIN_NAMES = {DOMAIN_DRIVER: "driver", DOMAIN_RUNTIME: "runtime"}

ATTRIBUTE_BUFFER_SIZE, ATTRIBUTE_POOL_LIMIT = 0, 2

# Callback ids of everything that launches a kernel or a graph. 505 and 506 are the launches that
# code built by CUDA 13's compiler makes; a list without them misses most of a CUDA 13 framework.
LAUNCHES: dict[int, dict[int, str]] = {
    DOMAIN_RUNTIME: {
        211: "cudaLaunchKernel",
        214: "cudaLaunchKernel_ptsz",
        269: "cudaLaunchCooperativeKernel",
        270: "cudaLaunchCooperativeKernel_ptsz",
        311: "cudaGraphLaunch",
        312: "cudaGraphLaunch_ptsz",
        430: "cudaLaunchKernelExC",
        431: "cudaLaunchKernelExC_ptsz",
        505: "__cudaLaunchKernel",
        506: "__cudaLaunchKernel_ptsz",
    },
    DOMAIN_DRIVER: {
        307: "cuLaunchKernel",
        442: "cuLaunchKernel_ptsz",
        477: "cuLaunchCooperativeKernel",
        478: "cuLaunchCooperativeKernel_ptsz",
        514: "cuGraphLaunch",
        515: "cuGraphLaunch_ptsz",
        652: "cuLaunchKernelEx",
        653: "cuLaunchKernelEx_ptsz",
    },
}

CODES = {
    0: "ok",
    1: "invalid parameter",
    7: "invalid operation",
    8: "out of memory",
    11: "API not implemented",
    12: "max limit reached",
    13: "not ready",
    14: "not compatible",
    15: "not initialized",
    21: "invalid kind",
    27: "not supported",
    33: "virtualized device not supported",
    35: "insufficient privileges",
    36: "old profiler API initialized",
    38: "legacy profiler not supported",
    39: "another subscriber holds CUPTI",
    40: "virtualized device, insufficient privileges",
    41: "confidential computing not supported",
    43: "MIG device not supported",
    47: "hardware trace not supported on MPS",
    999: "unknown error (no driver, or not initialized)",
    -1: "no library opened",
    -2: "this CUPTI has no such function",
    -3: "out of memory in the probe",
}

KERNEL_FIELDS = {
    "kind": ("I", 0),
    "start": ("Q", 16),
    "end": ("Q", 24),
    "device": ("I", 40),
    "context": ("I", 44),
    "stream": ("I", 48),
    "grid": ("3i", 52),
    "block": ("3i", 64),
    "correlation": ("I", 92),
    "grid_id": ("q", 96),
    "name": ("Q", 104),
    "graph_node": ("Q", 144),
    "graph": ("I", 156),
}
KERNEL_PREFIX_BYTES = 160
NAME_SPAN = slice(104, 112)

ROW = struct.Struct("=3Q8I3i3i")


def in_words(code: int) -> str:
    """A code of CUPTI or of the shim, as `39 (another subscriber holds CUPTI)`."""
    return f"{code} ({CODES.get(code, 'not in the list')})"


class Row(NamedTuple):
    """One kernel or graph replay as the shim keeps it; times in CUPTI's wall nanoseconds."""

    start: int
    end: int
    graph_node: int
    correlation: int
    step: int
    device: int
    stream: int
    graph: int
    name: int
    kind: int
    tagged: int
    grid_x: int
    grid_y: int
    grid_z: int
    block_x: int
    block_y: int
    block_z: int


class Kernel(NamedTuple):
    """The fields read from a raw kernel record; `name` is an address."""

    start: int
    end: int
    device: int
    stream: int
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    correlation: int
    name: int
    graph_node: int
    graph: int


def decode_kernel(record: bytes) -> Kernel:
    """Read a raw CONCURRENT_KERNEL record of any CUPTI from 12.0 on.

    Raises:
        ValueError: the record is too short, or of another kind.
    """
    if len(record) < KERNEL_PREFIX_BYTES:
        msg = f"a kernel record has at least {KERNEL_PREFIX_BYTES} bytes, this one {len(record)}"
        raise ValueError(msg)
    if _field(record, "kind") != (KIND_CONCURRENT_KERNEL,):
        msg = f"record kind {_field(record, 'kind')[0]} is not a concurrent kernel (10)"
        raise ValueError(msg)
    gx, gy, gz = _field(record, "grid")
    bx, by, bz = _field(record, "block")
    one = {n: _field(record, n)[0] for n in KERNEL_FIELDS if n not in {"grid", "block"}}
    return Kernel(
        start=one["start"],
        end=one["end"],
        device=one["device"],
        stream=one["stream"],
        grid=(gx, gy, gz),
        block=(bx, by, bz),
        correlation=one["correlation"],
        name=one["name"],
        graph_node=one["graph_node"],
        graph=one["graph"],
    )


def _field(record: bytes, name: str) -> tuple[int, ...]:
    code, offset = KERNEL_FIELDS[name]
    return struct.unpack_from("=" + code, record, offset)
