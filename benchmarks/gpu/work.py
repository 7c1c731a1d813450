"""What the GPU is given to do: a decode loop in PyTorch, or launches on the fake libcupti."""

import ctypes
import os
import struct
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from otel_llm.kernels.fake_cupti import RECORDING
from otel_llm.kernels.fake_cupti.record import KINDS, ROW

_NAME_BYTES = 1024
Durations = dict[str, list[int]]
"""Nanoseconds of each kernel, by its name."""


class Work(Protocol):
    """Steps whose kernels are the same in every step of a kind."""

    def step(self, kind: str) -> None:
        """One step, `eager` or `graph`, and wait until its tokens are there."""

    def micro(self, kernels: int) -> Callable[[], None]:
        """A graph of so many tiny kernels; replays it once."""

    def sync(self) -> None:
        """Wait until everything is done."""

    def profiled(self, kind: str, steps: int) -> Durations:
        """The kernels of so many steps by somebody other than the shim."""

    def free_bytes(self) -> int:
        """Free memory of the device."""

    def describe(self) -> dict[str, Any]:
        """What it is: device, driver, model, versions."""


class TorchWork:
    """A Llama-like model with random weights.

    Args:
        size: of `gpuprobe.torch_decode.SIZES`.
        batch: sequences.
    """

    def __init__(self, size: str, batch: int) -> None:
        sys.path.insert(0, str(Path(__file__).parent.parent / "gpu_probe"))
        import torch  # type: ignore[import-not-found, unused-ignore]
        from gpuprobe import torch_decode  # type: ignore[import-not-found, unused-ignore]

        name = f"{size}-{batch}"
        torch_decode.SIZES[name] = torch_decode.SIZES[size]._replace(batch=batch)
        self._torch: Any = torch
        self._decode: Any = torch_decode.TorchDecode(name)
        self._decode.capture()

    def step(self, kind: str) -> None:
        """See Work."""
        (self._decode.graph_step if kind == "graph" else self._decode.eager_step)()

    def micro(self, kernels: int) -> Callable[[], None]:
        """See Work."""
        torch = self._torch
        value = torch.empty(1024, device="cuda")
        value.add_(1.0)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(kernels):
                value.add_(1.0)
        replay: Callable[[], None] = graph.replay
        return replay

    def sync(self) -> None:
        """See Work."""
        self._torch.cuda.synchronize()

    def profiled(self, kind: str, steps: int) -> Durations:
        """See Work."""
        from torch.profiler import (  # type: ignore[import-not-found, unused-ignore]
            ProfilerActivity,
            profile,
        )

        with profile(activities=[ProfilerActivity.CUDA]) as found:
            for _ in range(steps):
                self.step(kind)
            self.sync()
        durations: Durations = defaultdict(list)
        for event in found.profiler.kineto_results.events():
            if "CUDA" in str(event.device_type()) and not event.name().startswith("Mem"):
                durations[cut(event.name())].append(event.duration_ns())
        return durations

    def free_bytes(self) -> int:
        """See Work."""
        return int(self._torch.cuda.mem_get_info()[0])

    def describe(self) -> dict[str, Any]:
        """See Work."""
        asked = ["nvidia-smi", "--id=0", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
        return {
            "gpu": self._torch.cuda.get_device_name(0),
            "driver": driver,
            "torch": self._torch.__version__,
            "model": self._decode.description,
        }


class FakeWork:
    """Launches on the fake libcupti, which the shim finds too. It stands for no GPU's speed.

    A step plays the whole recording, so that all steps have the same kernels.

    Args:
        step_s: how long a step takes beside its launches.
    """

    def __init__(self, step_s: float = 0.0005) -> None:
        self._launch: Any = ctypes.CDLL(os.environ["OTEL_LLM_KERNELS_LIBCUPTI"]).fake_launch
        self._step_s = step_s
        self._recorded = list(_kernels())

    def step(self, kind: str) -> None:
        """See Work."""
        if kind == "graph":
            self._launch(2, 311, len(self._recorded), 0)
        else:
            for _ in self._recorded:
                self._launch(2, 211, 1, 0)
        time.sleep(self._step_s)

    def micro(self, kernels: int) -> Callable[[], None]:
        """See Work."""
        return lambda: self._launch(2, 311, kernels, 0)

    def sync(self) -> None:
        """See Work."""

    def profiled(self, kind: str, steps: int) -> Durations:
        """See Work: by the recording, which the fake plays whole."""
        durations: Durations = defaultdict(list)
        for _ in range(steps):
            for name, took in self._recorded:
                durations[name].append(took)
            self.step(kind)
        return durations

    def free_bytes(self) -> int:
        """See Work."""
        return 1 << 30

    def describe(self) -> dict[str, Any]:
        """See Work."""
        return {
            "gpu": "none: the fake libcupti",
            "driver": "none",
            "torch": "",
            "model": "launches without a model",
        }


def _kernels() -> Iterator[tuple[str, int]]:
    """Names and durations of the recording's kernels, in order."""
    told = RECORDING.read_bytes()
    rows, names = struct.unpack_from("<II", told, 8)
    at, texts = 16 + rows * ROW.size, []
    for _ in range(names):
        [length] = struct.unpack_from("<I", told, at)
        texts.append(told[at + 4 : at + 4 + length].decode())
        at += 4 + length
    for _, took, name, _, kind, _, _ in ROW.iter_unpack(told[16 : 16 + rows * ROW.size]):
        if kind == KINDS["kernel"]:
            yield texts[name], took


def demangled(name: str) -> str:
    """A name as CUPTI reports it, as torch.profiler shows it: by the C++ library's own function."""
    demangle = ctypes.CDLL("libstdc++.so.6")["__cxa_demangle"]
    demangle.restype = ctypes.c_void_p
    status = ctypes.c_int()
    made = demangle(name.encode(), None, None, ctypes.byref(status))
    if not made:
        return cut(name)
    text = ctypes.string_at(made).decode()
    ctypes.CDLL(None).free(ctypes.c_void_p(made))
    return text


def cut(name: str) -> str:
    """One that is too long for torch.profiler to demangle has the length that the shim keeps."""
    return name[:_NAME_BYTES] if name.startswith("_Z") else name


def counts(durations: Durations) -> Counter[str]:
    """How many kernels of each name."""
    return Counter({name: len(each) for name, each in durations.items()})
