"""Kernels of one step: what ran on the device, or on the CPU standing in for one."""

from typing import Literal

import msgspec

from otel_llm.clock import MonotonicNs

KernelSource = Literal["cpu", "cupti", "kineto", "nsys"]


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
