"""What runs inside a row's process: the report it writes, and the tracer and work it asks for."""

from __future__ import annotations

import ctypes as c
import importlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpuprobe.ctypes_tracer import CtypesTracer
from gpuprobe.cuda import CudaError, loaded_libraries
from gpuprobe.records import DOMAIN_DRIVER, DOMAIN_RUNTIME, KIND_CONCURRENT_KERNEL, in_words
from gpuprobe.results import Json, write_json
from gpuprobe.torch_decode import TorchDecode
from gpuprobe.tracer import V1, ShimTracer, Tracer, switch_launch_callbacks
from gpuprobe.workloads import Decode, DriverDecode, DriverWork, TorchWork, Work

EXPECTED = (OSError, RuntimeError, ValueError, TypeError, ImportError, AttributeError, LookupError)
BOTH_DOMAINS = (DOMAIN_RUNTIME, DOMAIN_DRIVER)
_DRAIN_S = 5.0
_QUIET_S, _DRY_QUIET_S = 0.5, 0.05
_POLL_S = 0.005
_PR_SET_PDEATHSIG = 1


class Child:
    """One row: its parameters, and its report, saved at every change."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.report: dict[str, Any] = {}
        self._path = Path(spec["report"])

    @property
    def dry(self) -> bool:
        """Whether this is a dry run: small numbers, no framework."""
        return bool(self.spec.get("dry"))

    def scaled(self, number: int, dry: int) -> int:
        """The number for a real run or the small one for a dry run."""
        return dry if self.dry else number

    def put(self, key: str, value: Json) -> None:
        """Report one thing; it is on disk when this returns."""
        self.report[key] = value
        write_json(self._path, self.report)

    def work(self) -> Work:
        """The kernels this row runs; initialises CUDA."""
        return TorchWork() if self.spec.get("work") == "torch" else DriverWork()

    def decode(self) -> Decode:
        """The decode loop this row runs; initialises CUDA."""
        if self.spec.get("work") == "torch":
            return TorchDecode(self.spec["size"])
        return DriverDecode(self.spec.get("kernels", 300), self.spec.get("rounds", 400))

    def tracer(self) -> Tracer:
        """A tracer over the copy of CUPTI named in the row, loaded the way the row says.

        Raises:
            RuntimeError: the copy cannot be opened.
        """
        if "copy" not in self.spec:
            msg = "no libcupti is on this machine: carry the nvidia-cuda-cupti wheel in build/"
            raise RuntimeError(msg)
        path = self.spec["copy"]["path"]
        load = self.spec.get("load", "own")
        tracer: Tracer = (
            ShimTracer(Path(self.spec["shim"])) if self.spec.get("shim") else CtypesTracer()
        )
        if load == "global_first":
            c.CDLL(path, mode=c.RTLD_GLOBAL)
        if self.spec.get("work") == "torch":
            importlib.import_module("torch")
        if load == "in_process":
            path = (loaded_libraries("libcupti.so") or [path])[0]
        code = tracer.open(path)
        self.put("method", tracer.method)
        self.put("cupti_in_process", loaded_libraries("libcupti"))
        if code:
            msg = f"CUPTI did not open: {tracer.open_error()}"
            raise RuntimeError(msg)
        code, version = tracer.version()
        self.put("version", {"code": in_words(code), "version": version})
        return tracer

    def timed(self, key: str, call: Callable[[], int]) -> int:
        """Report the code of a CUPTI call and its milliseconds under `calls`."""
        began = time.perf_counter_ns()
        code = call()
        took = (time.perf_counter_ns() - began) / 1e6
        calls = self.report.setdefault("calls", {})
        self.put("calls", {**calls, key: {"code": in_words(code), "ms": round(took, 3)}})
        return code

    def must(self, key: str, call: Callable[[], int]) -> None:
        """The same, but the row ends here when it fails.

        Raises:
            RuntimeError: the call failed.
        """
        code = self.timed(key, call)
        if code:
            msg = f"{key}: {in_words(code)}"
            raise RuntimeError(msg)

    def attach(
        self,
        tracer: Tracer,
        *,
        callbacks: bool = True,
        activity: bool = True,
        api: int = V1,
        domains: tuple[int, ...] = BOTH_DOMAINS,
    ) -> None:
        """Subscribe and switch on, each step timed; ends the row at the first that fails."""
        if callbacks or api != V1:
            self.must("subscribe", lambda: tracer.subscribe(api))
        if callbacks:
            self.put("callbacks_refused", switch_launch_callbacks(tracer, True, domains))
        if activity:
            self.must("register buffers", lambda: tracer.register(api))
            self.must("enable kernels", lambda: tracer.kind(True, KIND_CONCURRENT_KERNEL, api))

    def drain(self, tracer: Tracer, kernels: int) -> dict[str, int]:
        """Flush until that many kernels came, or nothing more comes; reports how long it took."""
        quiet = _DRY_QUIET_S if self.dry else _QUIET_S
        began = time.monotonic()
        last_change = began
        seen = -1
        while time.monotonic() < began + _DRAIN_S:
            tracer.flush()
            counters = tracer.counters()
            if counters["kernels"] != seen:
                seen, last_change = counters["kernels"], time.monotonic()
            if seen >= kernels or time.monotonic() > last_change + quiet:
                break
            time.sleep(_POLL_S)
        self.report["drain_ms"] = round((time.monotonic() - began) * 1e3, 1)
        self.report["dropped_code"] = in_words(tracer.dropped())
        return tracer.counters()

    def count(self, tracer: Tracer, key: str, kernels: int) -> dict[str, int]:
        """Drain and report what was seen against what was run."""
        counters = self.drain(tracer, kernels)
        callbacks = tracer.callback_counts()
        self.put(key, {"kernels_run": kernels, "callbacks_by_function": callbacks, **counters})
        return counters


def main(spec_path: str) -> int:
    """Run the row described in the file; the process ends here."""
    from gpuprobe.scenarios import scenario

    # A row runs in a session of its own; without this it would outlive a parent that is killed.
    c.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    child = Child(spec)
    try:
        scenario(spec["scenario"])(child)
    except (*EXPECTED, CudaError) as error:
        child.put("error", f"{type(error).__name__}: {error}")
    if spec.get("normal_exit"):
        return 0
    # Library teardown at exit is a question of its own; elsewhere it must not cost the row.
    os._exit(0)
