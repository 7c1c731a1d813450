"""Kernels of one step: what ran on the device, or on the CPU standing in for one."""

from typing import Literal

import msgspec

from otel_llm.clock import MonotonicNs

KernelSource = Literal["cpu", "cupti", "cuda_event", "kineto", "nsys"]


class StepKernels(msgspec.Struct, frozen=True, array_like=True):
    """All kernels of one step. The arrays have one entry per kernel, in order of start.

    Attributes:
        seq: number of the step that caused them; 0 for launches outside any step.
        source: who measured: `cpu` is an operation timed on the host's clock; `kineto` and `nsys`
            are profiles that were imported.
        device: the device's name, for example `cpu:0` or a GPU's UUID.
        names: the distinct kernel names.
        name_index: shape (kernels,); index into `names`.
        base_ns: start of the first kernel, in monotonic nanoseconds.
        offset_ns: shape (kernels,); start of each, in nanoseconds after `base_ns`.
        duration_ns: shape (kernels,); duration of each, in nanoseconds.
    """

    seq: int
    source: KernelSource
    device: str
    names: list[str]
    name_index: list[int]
    base_ns: MonotonicNs
    offset_ns: list[int]
    duration_ns: list[int]


class StepGpuTime(msgspec.Struct, frozen=True, array_like=True):
    """How long a step took on one rank's device, between two CUDA events around its launches.

    Attributes:
        seq: number of the step.
        engine: instance id of the engine whose step it is.
        dp_rank: the engine's data-parallel rank.
        rank: the worker's rank in its engine.
        device: UUID of its device.
        launched_ns: the host began to launch it, in monotonic nanoseconds. The device began later.
        gpu_ns: from the first event to the second, on the device, in nanoseconds; gaps between
            kernels are in it.
    """

    seq: int
    engine: str
    dp_rank: int
    rank: int
    device: str
    launched_ns: MonotonicNs
    gpu_ns: int
