"""An engine knows the devices of all its ranks, and no hook harms a worker."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.engines.vllm import core_hooks, worker_hooks
from otel_llm.engines.vllm.worker_patches import patches_of
from otel_llm.facts.producer import Producer
from otel_llm.journal import ranks
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.patching import PatchSet
from otel_llm.testing import Swallowed
from tests.engines.vllm.core_scheduler import Scheduler, Shape
from tests.engines.vllm.workers import (
    UUIDS,
    Config,
    Executor,
    Worker,
    WorkerWrapperBase,
    fake_torch,
)


@pytest.fixture(autouse=True)
def journal_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's notes and journals are."""
    monkeypatch.setenv("OTEL_LLM_ENABLED", "true")
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "journals"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    return tmp_path / "journals"


@pytest.fixture
def hooks() -> Iterator[None]:
    """The hooks are in the modelled classes during the test."""
    before = (Executor.__init__, WorkerWrapperBase.init_device)
    patches = PatchSet(*patches_of(Executor, WorkerWrapperBase))
    assert patches.apply() == []
    yield
    assert patches.undo() == []
    assert (Executor.__init__, WorkerWrapperBase.init_device) == before


def followed_core(config: Config, journal_dir: Path) -> Producer:
    """Follow a scheduler with this configuration. Returns what its journal says of it."""
    scheduler = Scheduler(Shape(), random.Random(1))
    scheduler.vllm_config = config
    core_hooks.attach(scheduler)
    (path,) = scan(journal_dir, "engine")
    reader = JournalReader.open(path)
    reader.close()
    core_hooks.detach(scheduler)
    return reader.producer


def tell(config: Config, rank: int, index: int) -> None:
    """One worker takes its device, in this process."""
    assert WorkerWrapperBase(config, Worker(rank, index)).init_device() == "returned"


@pytest.mark.usefixtures("hooks")
def test_all_ranks_in_processes_of_their_own(journal_dir: Path) -> None:
    """Four workers take devices in another order than their ranks; the header has all, by rank."""
    config = Config(world_size=4)
    Executor(config, [3, 1, 0, 2])
    producer = followed_core(config, journal_dir)
    assert producer.devices == [f"GPU-{UUIDS[index]}" for index in (3, 1, 0, 2)]
    assert producer.ranks == 4
    assert not list(journal_dir.glob("rank-*"))


@pytest.mark.usefixtures("hooks")
def test_two_engines_at_once(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each core takes the notes of its own workers, although both have a rank 0."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch())
    one, other = Config(), Config()
    for config in (one, other):
        Executor(config, [])
    tell(one, 0, 5)
    tell(other, 0, 6)
    assert worker_hooks.placed(other) == ([f"GPU-{UUIDS[6]}"], 1)
    assert followed_core(one, journal_dir).devices == [f"GPU-{UUIDS[5]}"]


@pytest.mark.usefixtures("hooks")
def test_ranks_elsewhere_are_missed_and_not_made_up(
    journal_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four ranks two told: two devices are named, and that there are four."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch())
    config = Config(world_size=4)
    Executor(config, [])
    tell(config, 2, 0)
    tell(config, 3, 0)
    producer = followed_core(config, journal_dir)
    assert producer.devices == [f"GPU-{UUIDS[0]}"] * 2
    assert producer.ranks == 4


@pytest.mark.parametrize("prefix", ["GPU-", "MIG-"])
def test_a_prefix_is_put_once(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has one already keeps it."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch(uuids=[f"{prefix}x"]))
    worker = Worker(0, 0)
    worker.init_device()
    assert worker_hooks.device_of(worker) == f"{prefix}x"


@pytest.mark.usefixtures("hooks")
@pytest.mark.parametrize("kind", ["cpu", "not imported", "not started", "rocm"])
def test_no_cuda_no_device(kind: str, journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch is not imported and CUDA not started for us; what is no NVIDIA GPU is not named."""
    torch = fake_torch(initialized=kind != "not started", hip="6" if kind == "rocm" else None)
    monkeypatch.setitem(sys.modules, "torch", None if kind == "not imported" else torch)
    config = Config()
    Executor(config, [])
    worker = Worker(0, 0, "cpu" if kind == "cpu" else "cuda")
    assert WorkerWrapperBase(config, worker).init_device() == "returned"
    assert not journal_dir.exists()


@pytest.mark.usefixtures("hooks")
def test_an_engine_on_a_cpu_has_no_ranks_on_devices(journal_dir: Path) -> None:
    """None are missed where none are expected."""
    config = Config(world_size=2, device_type="cpu")
    Executor(config, [])
    producer = followed_core(config, journal_dir)
    assert (producer.devices, producer.ranks) == ([], 0)


def test_a_core_that_was_never_marked(journal_dir: Path) -> None:
    """Hooks that came after the workers: nothing is known, and nothing said."""
    producer = followed_core(Config(), journal_dir)
    assert (producer.devices, producer.ranks) == ([], 0)


@pytest.mark.usefixtures("hooks")
def test_a_directory_that_cannot_be_used(
    journal_dir: Path, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """The worker has its device all the same, and the core its scheduler."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch())
    journal_dir.parent.joinpath("file").write_text("")
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(journal_dir.parent / "file"))
    config = Config()
    Executor(config, [])
    tell(config, 0, 0)
    assert worker_hooks.placed(config) == ([], 0)
    assert swallowed.places.count("vllm.devices") == 2
    swallowed.clear()


@pytest.mark.usefixtures("hooks")
def test_what_the_worker_raises_passes(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that cannot be had is vLLM's affair; nothing is told of it."""

    class NoDeviceError(Exception):
        pass

    def fail(_self: Worker) -> None:
        raise NoDeviceError

    monkeypatch.setattr(Worker, "init_device", fail)
    config = Config()
    Executor(config, [])
    with pytest.raises(NoDeviceError):
        tell(config, 0, 0)
    assert not journal_dir.exists()


def test_keys_are_random() -> None:
    """Two engines never share one."""
    assert ranks.new_key() != ranks.new_key()
    assert len(ranks.new_key()) == 32
