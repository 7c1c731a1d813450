"""Every launch of a worker is under its step, and no hook harms a worker or stays in vain."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otel_llm.engines.vllm import worker_steps
from otel_llm.facts import StepGpuTime
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.kernels import shim_library
from otel_llm.kernels.fake_cuda import FakeCuda
from otel_llm.kernels.whose import Whose
from otel_llm.settings import load
from otel_llm.testing import FakeClock, Swallowed
from tests.engines.vllm.workers import UUIDS, Config
from tests.kernels.conftest import built, environment
from tests.kernels.running import Run

__all__ = ["built", "environment"]

ROOT = Path(__file__).parents[3]
ENGINE = "e" * 32


@pytest.fixture(autouse=True)
def journal_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where journals are; every worker is left alone again at the end."""
    monkeypatch.setenv("OTEL_LLM_ENABLED", "true")
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "journals"))
    monkeypatch.delenv("CUDA_INJECTION64_PATH", raising=False)
    yield tmp_path / "journals"
    worker_steps.close_all()


def test_every_launch_is_under_its_step(
    environment: dict[str, str], built: Path, journal_dir: Path
) -> None:
    """A process with the shim and the hooks: model and sampling are the step's, all else is 0's."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.vllm.stepping", built / "libcupti.so.13", "30"],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=60,
    )  # fmt: skip
    told = json.loads(done.stdout)
    launched: Counter[tuple[int, ...]] = Counter()
    for step, kernels in told["launches"]:
        launched[(step,)] += kernels
    [path] = journal_dir.glob("kernels-*.ring")
    run = Run.read(path, {})
    assert run.count_by(run.raw, "step") == launched
    assert run.count_by(run.steps, "key") == launched
    assert run.identities == [
        Whose(
            engine=told["engine"], rank=1, device=f"GPU-{UUIDS[0]}", software="vllm",
            version=run.identities[0].version, model="tiny", service="vllm",
        )
    ]  # fmt: skip


# -- timing by events


class Worker:
    """A worker on a simulated GPU."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.rank = 2
        self.device = SimpleNamespace(type="cuda", index=0)
        self._cuda = cuda
        self.calls: list[object] = []

    def execute_model(self, scheduler_output: object) -> None:
        """3 ms of work."""
        self.calls.append(scheduler_output)
        self._cuda.launch(3_000_000)

    def sample_tokens(self, grammar: object) -> str:
        """1 ms of work."""
        self.calls.append(grammar)
        self._cuda.launch(1_000_000)
        return "sampled"


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the simulated GPU."""
    return FakeClock()


@pytest.fixture
def cuda(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """The GPU, as torch would show it."""
    cuda = FakeCuda(clock.monotonic_ns)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(shim_library, "attached", lambda: None)
    return cuda


def batch(seq: int) -> Any:  # noqa: ANN401  stands for vLLM's SchedulerOutput
    """A marked batch."""
    return SimpleNamespace(otel_llm_step=(ENGINE, 4, seq))


def times(journal_dir: Path) -> list[StepGpuTime]:
    """What workers told."""
    found: list[StepGpuTime] = []
    for path in scan(journal_dir, "worker"):
        reader = JournalReader.open(path)
        found += [one for one in reader.read() if isinstance(one, StepGpuTime)]
        reader.close()
    return found


def test_steps_are_timed_where_cupti_is_not(
    cuda: FakeCuda, clock: FakeClock, journal_dir: Path
) -> None:
    """One record per step and rank; a batch without a mark is no step; returns stay as they are."""
    worker = Worker(cuda)
    worker_steps.follow(worker, Config(), "GPU-1")
    for seq in (1, 2):
        assert worker.execute_model(batch(seq)) is None
        assert worker.sample_tokens("grammar") == "sampled"
        worker.execute_model(SimpleNamespace())
        assert worker.sample_tokens("grammar") == "sampled"
        clock.advance(20_000_000)
    worker_steps.close_all()
    assert [(one.seq, one.gpu_ns) for one in times(journal_dir)] == [
        (1, 4_000_000), (2, 4_000_000),
    ]  # fmt: skip
    [first, _] = times(journal_dir)
    assert (first.engine, first.dp_rank, first.rank, first.device) == (ENGINE, 4, 2, "GPU-1")


def test_what_the_worker_raises_passes(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the step has ended for whatever is launched after it."""

    def fail(_self: Worker, _output: object) -> None:
        raise LookupError

    monkeypatch.setattr(Worker, "execute_model", fail)
    worker = Worker(cuda)
    steps: list[int] = []
    worker_steps.follow(worker, Config(), "GPU-1")
    _, hooks = worker_steps._followed[worker]
    monkeypatch.setattr(hooks, "_set_step", steps.append)
    with pytest.raises(LookupError):
        worker.execute_model(batch(5))
    assert steps == [5, 0]


def test_a_mark_that_is_none(cuda: FakeCuda, swallowed: Swallowed) -> None:
    """A mark of another release: the model runs, and it is counted."""
    worker = Worker(cuda)
    worker_steps.follow(worker, Config(), "GPU-1")
    worker.execute_model(SimpleNamespace(otel_llm_step="what"))
    assert worker.sample_tokens(None) == "sampled"
    assert set(swallowed.places) == {"vllm.steps"}
    swallowed.clear()


def test_events_that_fail(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """A device in error is vLLM's to notice: our events never raise."""

    def fail(*_args: object, **_kwargs: object) -> None:
        message = "CUDA error: an illegal memory access was encountered"
        raise RuntimeError(message)

    monkeypatch.setattr(FakeCuda, "Event", fail)
    worker = Worker(cuda)
    worker_steps.follow(worker, Config(), "GPU-1")
    worker.execute_model(batch(1))
    assert worker.sample_tokens(None) == "sampled"
    assert swallowed.places == ["vllm.steps"]
    swallowed.clear()


def test_no_hooks_where_they_would_do_nothing(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a shim: on a CPU, with events off, and with recorders off."""
    worker = Worker(cuda)
    worker_steps.follow(worker, Config(), "")
    monkeypatch.setenv("OTEL_LLM_STEP_EVENTS", "false")
    worker_steps.follow(worker, Config(), "GPU-1")
    monkeypatch.delenv("OTEL_LLM_STEP_EVENTS")
    monkeypatch.setenv("OTEL_LLM_ENABLED", "false")
    worker_steps.follow(worker, Config(), "GPU-1")
    assert not {"execute_model", "sample_tokens"} & vars(worker).keys()


def test_hooks_are_taken_out(cuda: FakeCuda, journal_dir: Path) -> None:
    """The worker's own methods are back, and its journal is closed on purpose."""
    worker = Worker(cuda)
    worker_steps.follow(worker, Config(), "GPU-1")
    assert "execute_model" in vars(worker)
    worker.execute_model(batch(1))
    worker_steps.close_all()
    assert not {"execute_model", "sample_tokens"} & vars(worker).keys()
    worker.execute_model(batch(2))
    assert times(journal_dir) == []


@pytest.mark.parametrize("missing", ["driver", "kernels", "enabled"])
def test_the_shim_is_loaded_where_there_is_a_driver(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before CUDA begins, unless the settings say no or there is nothing to measure."""
    made: list[str] = []
    driver = tmp_path / "nvidiactl"
    monkeypatch.setattr(worker_steps, "DRIVER", str(driver))
    monkeypatch.setattr(shim_library, "Shim", lambda: made.append("shim"))
    driver.touch()
    worker_steps.prepare(Config())
    worker_steps.prepare(Config(device_type="cpu"))
    assert made == ["shim"]
    if missing == "driver":
        driver.unlink()
    elif missing == "kernels":
        monkeypatch.setenv("OTEL_LLM_KERNELS", "off")
    else:
        monkeypatch.setenv("OTEL_LLM_ENABLED", "false")
    worker_steps.prepare(Config())
    assert made == ["shim"]


def test_a_file_of_settings_reaches_the_shim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shim reads the environment alone; what a variable says already stays."""
    (tmp_path / "c.toml").write_text("kernels_any_cupti = true\nkernels_budget = 0.5\n")
    monkeypatch.setenv("OTEL_LLM_CONFIG", str(tmp_path / "c.toml"))
    monkeypatch.setenv("OTEL_LLM_KERNELS_BUDGET", "0.25")
    monkeypatch.setenv("OTEL_LLM_KERNELS_ANY_CUPTI", "x")
    monkeypatch.delenv("OTEL_LLM_KERNELS_ANY_CUPTI")
    shim_library.export(load())
    assert os.environ["OTEL_LLM_KERNELS_ANY_CUPTI"] == "true"
    assert os.environ["OTEL_LLM_KERNELS_BUDGET"] == "0.25"
