"""VLLM's own executor, configuration and worker wrapper carry what tells an engine's devices."""

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from vllm.config import VllmConfig
from vllm.v1.executor.abstract import Executor
from vllm.v1.worker.worker_base import WorkerWrapperBase

from otel_llm.engines.vllm import worker_hooks
from otel_llm.settings import load
from tests.engines.vllm.real.config import Shape, vllm_config
from tests.engines.vllm.workers import UUIDS, Worker, fake_torch

pytestmark = pytest.mark.vllm


class Unstarted(Executor):
    """An executor without workers."""

    def _init_executor(self) -> None: ...

    def collective_rpc(self, *_args: Any, **_kwargs: Any) -> Any:  # noqa: ANN401
        """Reach nobody."""

    def check_health(self) -> None:
        """Be well."""


def wrapper_of(config: VllmConfig, worker: Worker) -> WorkerWrapperBase:
    """As after `init_worker`."""
    wrapper = WorkerWrapperBase(rpc_rank=worker.rank)
    wrapper.vllm_config = config
    vars(wrapper)["worker"] = worker
    return wrapper


def test_the_mark_reaches_a_worker_and_its_device_the_core(
    hooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It survives the pickling to workers; only torch and its GPUs are not real here."""
    monkeypatch.setenv("OTEL_LLM_ENABLED", "true")
    assert load().enabled
    config = vllm_config(Shape())
    Unstarted(config)
    sent = [pickle.loads(pickle.dumps(config)) for _ in range(2)]
    with monkeypatch.context() as faked:
        faked.setitem(sys.modules, "torch", fake_torch())
        for rank, index in ((1, 4), (0, 7)):
            wrapper_of(sent[rank], Worker(rank, index)).init_device()
    assert len(list(hooks.glob("rank-*"))) == 2
    config.device_config.device_type = "cuda"
    config.parallel_config.world_size = 2
    assert worker_hooks.placed(config) == ([f"GPU-{UUIDS[7]}", f"GPU-{UUIDS[4]}"], 2)
    assert not list(hooks.glob("rank-*"))


def test_on_a_cpu_nothing_is_told(hooks: Path) -> None:
    """A worker with the real torch and no GPU leaves no note."""
    config = vllm_config(Shape())
    Unstarted(config)
    wrapper_of(config, Worker(0, 0, "cpu")).init_device()
    assert not list(hooks.glob("rank-*"))
    assert worker_hooks.placed(config) == ([], 0)
