"""A stand-in for PyTorch in rows' processes: its launches go to the fake GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from gpuprobe.cuda import Cuda

_devices: list[Cuda] = []
launched = 0


def _device() -> Cuda:
    """The device, started at first use as PyTorch does."""
    if not _devices:
        _devices.append(Cuda())
    return _devices[0]


class Tensor:
    """Knows one operation, which is one kernel."""

    def add_(self, _other: float) -> Tensor:
        """One kernel."""
        global launched  # noqa: PLW0603  (the profiler beside reads it)
        _device().launch()
        launched += 1
        return self


def empty(_count: int, device: str) -> Tensor:
    """Memory and no kernel."""
    assert device == "cuda"
    _device()
    return Tensor()


class CUDAGraph:
    """A captured graph."""

    def __init__(self) -> None:
        self.handle = ctypes.c_void_p()

    def replay(self) -> None:
        """Start it."""
        _device().launch_graph(self.handle)


@contextmanager
def _graph(into: CUDAGraph) -> Iterator[None]:
    device = _device()
    device.library.cuStreamBeginCapture_v2(device.stream, 2)
    yield
    made = ctypes.c_void_p()
    device.library.cuStreamEndCapture(device.stream, ctypes.byref(made))
    flags = ctypes.c_ulonglong(0)
    device.library.cuGraphInstantiateWithFlags(ctypes.byref(into.handle), made, flags)


cuda = SimpleNamespace(
    CUDAGraph=CUDAGraph,
    graph=_graph,
    synchronize=lambda: _device().sync(),
    mem_get_info=lambda: (_device().free_bytes(), 0),
)
