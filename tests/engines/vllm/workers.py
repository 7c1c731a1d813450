"""A model of vLLM's executor and its workers: processes of their own, GPUs of a fake torch."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from otel_llm.engines.vllm.worker_patches import patches_of
from otel_llm.patching import PatchSet

UUIDS = [f"{number:08x}-1111-2222-3333-444444444444" for number in range(8)]
"""As torch's device properties give them: without a prefix."""


class Config:
    """`VllmConfig`: pickled to the workers with whatever attributes it has."""

    def __init__(self, world_size: int = 1, device_type: str = "cuda") -> None:
        self.model_config = SimpleNamespace(model="m", served_model_name="tiny")
        self.parallel_config = SimpleNamespace(data_parallel_rank=0, world_size=world_size)
        self.device_config = SimpleNamespace(device_type=device_type)
        self.observability_config = SimpleNamespace(otlp_traces_endpoint=None)


def fake_torch(
    *, initialized: bool = True, hip: str | None = None, uuids: Sequence[str] = UUIDS
) -> ModuleType:
    """As much of torch as is read: versions, and CUDA's properties of devices by index."""

    def properties(device: Any) -> SimpleNamespace:  # noqa: ANN401
        assert initialized, "this would start CUDA"
        return SimpleNamespace(uuid=uuids[device.index])

    torch = ModuleType("torch")
    vars(torch).update(
        version=SimpleNamespace(hip=hip),
        cuda=SimpleNamespace(is_initialized=lambda: initialized, get_device_properties=properties),
    )
    return torch


class Worker:
    """A worker of any platform: it has no device before `init_device`."""

    def __init__(self, rank: int, index: int, kind: str = "cuda") -> None:
        self.rank = rank
        self._device = SimpleNamespace(type=kind, index=index)

    def init_device(self) -> None:
        """Take the device."""
        self.device = self._device


class WorkerWrapperBase:
    """Holds a worker."""

    def __init__(self, config: Config, worker: Worker) -> None:
        self.vllm_config = config
        self.worker = worker

    def init_device(self) -> str:
        """Let the worker take its device."""
        self.worker.init_device()
        return "returned"


class Executor:
    """Starts one process per rank and waits until all have their devices."""

    def __init__(self, vllm_config: Config, indices: list[int]) -> None:
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=work, args=(vllm_config, rank, index, dict(os.environ)))
            for rank, index in enumerate(indices)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * len(indices)


def work(config: Config, rank: int, index: int, environment: dict[str, str]) -> None:
    """A worker's process: hooks in, then the device."""
    os.environ.update(environment)
    sys.modules["torch"] = fake_torch()
    assert PatchSet(*patches_of(Executor, WorkerWrapperBase)).apply() == []
    assert WorkerWrapperBase(config, Worker(rank, index)).init_device() == "returned"
