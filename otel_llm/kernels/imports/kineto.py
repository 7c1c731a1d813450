"""PyTorch profiler traces (Kineto), plain or gzip.

What is read: events of the categories `kernel`, `gpu_memcpy` and `gpu_memset`; `cuda_runtime` and
`cuda_driver` calls with a correlation id, as launches; annotations of steps. Times are
microseconds, in newer files after `baseTimeNanoseconds`. Source: pytorch/kineto,
libkineto/src/output_json.cpp.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO

from otel_llm.errors import ProfileError
from otel_llm.kernels.imports.profile import Profile, Reading
from otel_llm.kernels.imports.stream import Trace

STEP_MARK = r"ProfilerStep#(\d+)"
"""Steps as `torch.profiler` marks them."""
_ON_DEVICE = frozenset({"kernel", "gpu_memcpy", "gpu_memset", "Kernel", "Memcpy", "Memset"})
_CALLS = frozenset({"cuda_runtime", "cuda_driver", "hip_runtime", "Runtime"})
_MARKS = frozenset({"user_annotation", "cpu_op", "python_function"})


def read_kineto(stream: BinaryIO, step_mark: "re.Pattern[str]") -> Profile:
    """Read a whole trace.

    Args:
        stream: of the JSON text, already unpacked.
        step_mark: what an annotation of a step looks like, as a whole; its first group, if there is
            one, is the step's number.

    Raises:
        ProfileError: it is no trace, ends in the middle, or holds no kernels.
    """
    trace, reading = Trace(stream), Reading()
    seen = 0
    for event in trace.events():
        seen += 1
        if not isinstance(event, dict):
            reading.dropped["malformed"] += 1
        elif event.get("ph") == "X":
            _event(event, reading, step_mark)
    kernels = reading.kernels()
    if not len(kernels):
        raise ProfileError(_why_none(seen, reading))
    told = trace.head.get("distributedInfo")
    rank = told.get("rank") if isinstance(told, dict) else 0
    host = trace.head.get("host_name")
    base = trace.head.get("baseTimeNanoseconds", 0)
    return Profile(
        "kineto", kernels, base if isinstance(base, int) else None, reading.steps, reading.dropped,
        host if isinstance(host, str) else "",
        rank if isinstance(rank, int) and 0 <= rank < 1 << 16 else 0,
    )  # fmt: skip


def _why_none(seen: int, reading: Reading) -> str:
    if reading.dropped:
        return f"None of this trace's kernels can be used: {dict(reading.dropped)}."
    return (
        f"This trace has {seen} events and no kernel among them. "
        "Was it recorded with ProfilerActivity.CUDA?"
    )


def _event(event: dict[str, Any], reading: Reading, step_mark: "re.Pattern[str]") -> None:
    kind = event.get("cat")
    if kind in _ON_DEVICE:
        _kernel(event, reading)
    elif kind in _CALLS:
        arguments = event.get("args")
        correlation = arguments.get("correlation") if isinstance(arguments, dict) else None
        start = _ns(event.get("ts"))
        if type(correlation) is int and start is not None:
            reading.launch(correlation, start)
    elif kind in _MARKS:
        _mark(event, reading, step_mark)


def _kernel(event: dict[str, Any], reading: Reading) -> None:
    name, start, duration = event.get("name"), _ns(event.get("ts")), _ns(event.get("dur", 0))
    arguments = event.get("args")
    told = arguments if isinstance(arguments, dict) else {}
    stream, correlation = told.get("stream", 0), told.get("correlation", 0)
    numbers = type(stream) is int and type(correlation) is int
    if not isinstance(name, str) or start is None or duration is None or not numbers:
        reading.dropped["malformed"] += 1
        return
    device = str(told.get("device", event.get("pid", 0)))[:256]
    reading.kernel(name, start, duration, device, stream, correlation)


def _mark(event: dict[str, Any], reading: Reading, step_mark: "re.Pattern[str]") -> None:
    name = event.get("name")
    found = step_mark.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        return
    start, duration = _ns(event.get("ts")), _ns(event.get("dur", 0))
    if start is not None and duration is not None:
        number = found[1] if found.re.groups else None
        reading.mark(int(number) if number and number.isdecimal() else None, start, duration)


def _ns(microseconds: object) -> int | None:
    """Nanoseconds, to the last digit; None if it is no number.

    A float would lose up to a quarter of a microsecond of every time of day.
    """
    if type(microseconds) is int:
        return microseconds * 1000
    if not isinstance(microseconds, str):
        return None
    whole, _, part = microseconds.partition(".")
    if whole.isdecimal() and part.isdecimal() and len(whole) < 20:
        return int(whole) * 1000 + int((part + "000")[:3])
    return _odd_ns(microseconds)


def _odd_ns(microseconds: str) -> int | None:
    """Signs and exponents, which few files have."""
    try:
        value = Decimal(microseconds[:64]) * 1000
    except InvalidOperation:
        return None
    return int(value) if value.is_finite() and abs(value) < 1 << 63 else None
