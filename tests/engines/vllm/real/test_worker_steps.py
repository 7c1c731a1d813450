"""VLLM's own worker wrapper and scheduler output carry a step to the hooks on the worker."""

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.worker.worker_base import WorkerBase, WorkerWrapperBase

from otel_llm.engines.vllm import worker_steps
from otel_llm.facts import StepGpuTime
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.kernels.fake_cuda import FakeCuda
from otel_llm.testing import FakeClock
from tests.engines.vllm.real.config import Shape, vllm_config

pytestmark = pytest.mark.vllm


class Worker(WorkerBase):
    """A worker whose model takes 2 ms on a simulated GPU, and sampling 1 ms."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.rank = 0
        self.cuda = cuda
        self.device = SimpleNamespace(type="cuda", index=0)

    def execute_model(self, scheduler_output: SchedulerOutput) -> None:
        """2 ms; sampling follows."""
        assert isinstance(scheduler_output, SchedulerOutput)
        self.cuda.launch(2_000_000)

    def sample_tokens(self, grammar_output: object) -> str:
        """1 ms."""
        assert grammar_output is None
        self.cuda.launch(1_000_000)
        return "sampled"


def test_a_step_reaches_the_worker(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickled as to a process of its own, by the calls that vLLM's executors make."""
    clock = FakeClock()
    worker = Worker(FakeCuda(clock.monotonic_ns))
    wrapper = WorkerWrapperBase(rpc_rank=0)
    vars(wrapper).update(worker=worker, mm_receiver_cache=None)
    config = vllm_config(Shape())
    with monkeypatch.context() as faked:
        faked.setitem(sys.modules, "torch", SimpleNamespace(cuda=worker.cuda))
        worker_steps.follow(worker, config, "GPU-1")
    for seq in (1, 2):
        output = SchedulerOutput.make_empty()
        output.otel_llm_step = ("e" * 32, 0, seq)  # type: ignore[attr-defined]
        assert wrapper.execute_model(pickle.loads(pickle.dumps(output))) is None
        assert wrapper.sample_tokens(None) == "sampled"
        clock.advance(9_000_000)
    worker_steps.close_all()
    [path] = scan(journal_dir, "worker")
    reader = JournalReader.open(path)
    found = [one for one in reader.read() if isinstance(one, StepGpuTime)]
    reader.close()
    assert [(one.seq, one.gpu_ns) for one in found] == [(1, 3_000_000), (2, 3_000_000)]
