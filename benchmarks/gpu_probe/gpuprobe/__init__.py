"""Probe of CUPTI and NVML on a machine with an NVIDIA GPU; standard library only."""
