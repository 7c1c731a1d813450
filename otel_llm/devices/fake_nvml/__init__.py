"""A fake `libnvidia-ml.so.1` that plays a script, for tests on machines without a GPU."""

from otel_llm.devices.fake_nvml.build import CLOCK_VARIABLE, LIBRARY, SCRIPT_VARIABLE, build
from otel_llm.devices.fake_nvml.stage import FakeNvml

__all__ = ["CLOCK_VARIABLE", "LIBRARY", "SCRIPT_VARIABLE", "FakeNvml", "build"]
