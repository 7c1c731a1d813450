"""Work for the GPU whose number of kernels is known beforehand."""

from __future__ import annotations

import ctypes as c
import importlib
from typing import Any, Protocol

from gpuprobe.cuda import Cuda


class Work(Protocol):
    """Kernels one by one, and a graph of kernels."""

    def launch(self, kernels: int) -> None:
        """Start so many kernels, one launch each."""
        ...

    def capture(self, kernels: int) -> None:
        """Make the graph."""
        ...

    def replay(self) -> None:
        """Start the graph once."""
        ...

    def sync(self) -> None:
        """Wait until all is done."""
        ...

    def free_bytes(self) -> int:
        """Free device memory."""
        ...


class DriverWork:
    """Straight on the CUDA driver."""

    def __init__(self) -> None:
        self.cuda = Cuda()
        self.graph = c.c_void_p()

    def launch(self, kernels: int) -> None:
        """See Work."""
        for _ in range(kernels):
            self.cuda.launch()

    def capture(self, kernels: int) -> None:
        """See Work."""
        self.graph = self.cuda.capture(kernels)

    def replay(self) -> None:
        """See Work."""
        self.cuda.launch_graph(self.graph)

    def sync(self) -> None:
        """See Work."""
        self.cuda.sync()

    def free_bytes(self) -> int:
        """See Work."""
        return self.cuda.free_bytes()


class TorchWork:
    """Through PyTorch: each in-place addition is one kernel launched by the runtime API."""

    def __init__(self) -> None:
        torch: Any = importlib.import_module("torch")
        self._torch = torch
        # Not zeros: filling would be a kernel more.
        self._x = torch.empty(1024, device="cuda")
        self._graph: Any = None
        self.sync()

    def launch(self, kernels: int) -> None:
        """See Work."""
        for _ in range(kernels):
            self._x.add_(1.0)

    def capture(self, kernels: int) -> None:
        """See Work."""
        self.launch(1)
        self.sync()
        self._graph = self._torch.cuda.CUDAGraph()
        with self._torch.cuda.graph(self._graph):
            self.launch(kernels)

    def replay(self) -> None:
        """See Work."""
        self._graph.replay()

    def sync(self) -> None:
        """See Work."""
        self._torch.cuda.synchronize()

    def free_bytes(self) -> int:
        """See Work."""
        return int(self._torch.cuda.mem_get_info()[0])


class Decode(Protocol):
    """A decode loop: each step makes one token for every sequence of the batch."""

    description: str

    def eager_step(self) -> None:
        """One step, kernel by kernel, and read the tokens back."""
        ...

    def capture(self) -> None:
        """Make the graph of one step anew."""
        ...

    def graph_step(self) -> None:
        """One replay, and read the tokens back."""
        ...

    def free_bytes(self) -> int:
        """Free device memory."""
        ...


class DriverDecode:
    """The shape of a decode loop without a model: short kernels in a row, then a wait.

    Used where PyTorch is absent, and in dry runs.
    """

    def __init__(self, kernels: int, rounds: int) -> None:
        self.description = f"{kernels} kernels of {rounds} dependent multiply-adds, no model"
        self._work = DriverWork()
        self._work.cuda.set_rounds(rounds)
        self._kernels = kernels

    def eager_step(self) -> None:
        """See Decode."""
        self._work.launch(self._kernels)
        self._work.sync()

    def capture(self) -> None:
        """See Decode."""
        self._work.capture(self._kernels)

    def graph_step(self) -> None:
        """See Decode."""
        self._work.replay()
        self._work.sync()

    def free_bytes(self) -> int:
        """See Decode."""
        return self._work.free_bytes()
