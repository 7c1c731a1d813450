"""NVIDIA GPUs through NVML."""

from otel_llm.devices.nvml.source import NvmlSource

__all__ = ["NvmlSource"]
