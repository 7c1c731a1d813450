"""Engines under test: how each is started, and what it can do."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

import pytest

from otel_llm.demo.child import Child
from otel_llm.demo.vllm.model import MODEL, write_model
from otel_llm.demo.vllm.paced import VARIABLE, WORKER_CLS
from otel_llm.demo.vllm.server import VllmServer
from tests.contract.journals import Journals
from tests.vllm.conftest import CLI_VARIABLE

SERVICE = "engine-under-test"
SEATS = 4
BUDGET = 16
"""Tokens per step: few, so that a long prompt takes many steps."""
BLOCK = 32
KV_BLOCKS = 49
"""Room for one request of the greatest length, and a block that vLLM keeps for itself. So a few
usual requests preempt each other."""
MODEL_LEN = 1536
STEP_MS = 4
"""Least time of a real engine's step: however fast the machine, a test can leave within one."""


class Feature(Enum):
    """What an engine can do and another cannot. Tests skip what an engine lacks."""

    PREFIX_CACHE = auto()
    CHUNKED_PREFILL = auto()
    PREEMPTION = auto()


class EngineUnderTest(Protocol):
    """One kind of engine, with the limits above."""

    @property
    def model(self) -> str:
        """The name that requests ask for."""

    @property
    def features(self) -> frozenset[Feature]:
        """What it can do."""

    def start(self, work_dir: Path, environment: Mapping[str, str], *, hooks: bool) -> Child:
        """Start one. Its process group holds all of its processes.

        Args:
            work_dir: for its files and logs.
            environment: variables beside our own.
            hooks: whether they are on.
        """


class Reference:
    """The engine in `otel_llm/demo/engine`."""

    model = "reference-4l"
    features = frozenset(Feature)

    def start(self, work_dir: Path, environment: Mapping[str, str], *, hooks: bool) -> Child:
        """Start it; it serves within seconds."""
        limits = {
            "max-running": SEATS, "token-budget": BUDGET, "blocks": KV_BLOCKS,
            "block-size": BLOCK, "max-model-len": MODEL_LEN,
        }  # fmt: skip
        command = [sys.executable, "-m", "otel_llm.demo.engine", "--port", "0", "--name", SERVICE]
        for name, value in limits.items():
            command += [f"--{name}", str(value)]
        switch = {} if hooks else {"OTEL_LLM_ENABLED": "false"}
        return Child(SERVICE, command, work_dir, {**environment, **switch})


class Vllm:
    """A real vLLM, with a tiny model made on the spot."""

    model = MODEL
    features = frozenset(Feature)

    def start(self, work_dir: Path, environment: Mapping[str, str], *, hooks: bool) -> Child:
        """Start it; it serves after half a minute or more.

        Raises:
            AssertionError: there is no program `vllm`.
        """
        cli = shutil.which(os.environ.get(CLI_VARIABLE, "vllm"))
        assert cli, f"{CLI_VARIABLE} names no program: set it to ENV/bin/vllm"
        options = [
            *("--served-model-name", self.model),
            *("--max-num-seqs", str(SEATS), "--max-num-batched-tokens", str(BUDGET)),
            *("--num-gpu-blocks-override", str(KV_BLOCKS), "--block-size", str(BLOCK)),
            *("--max-model-len", str(MODEL_LEN), "--worker-cls", WORKER_CLS),
        ]
        environment = {**environment, VARIABLE: str(STEP_MS)}
        model_dir = write_model(work_dir / "model")
        return VllmServer(
            SERVICE, Path(cli).absolute(), model_dir, work_dir, environment, options, hooks
        )


class Site:
    """A started engine and its journals.

    Attributes:
        engine: what it is.
        base_url: where it serves.
        journals: what it tells.
    """

    def __init__(self, engine: EngineUnderTest, child: Child, journals: Journals) -> None:
        self.engine = engine
        self.base_url: str = child.ready()["url"]
        self.journals = journals
        self._child = child

    def needs(self, feature: Feature) -> None:
        """Skip the test if the engine lacks a feature."""
        if feature not in self.engine.features:
            pytest.skip(f"the engine has no {feature.name}")

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._child.stop()

    def kill(self) -> None:
        """SIGKILL for all of its processes at once."""
        os.killpg(self._child.process.pid, signal.SIGKILL)
        self._child.stop(signal.SIGKILL)


@contextmanager
def started(engine: EngineUnderTest, *, hooks: bool = True) -> Iterator[Site]:
    """An engine that serves; it is gone at the end, and so are its files."""
    with tempfile.TemporaryDirectory(prefix="otel-llm-contract-") as folder:
        directory = Path(folder) / "journals"
        environment = {
            "OTEL_LLM_JOURNAL_DIR": str(directory),
            "OTEL_LLM_JOURNAL_BYTES": str(16 << 20),
        }
        child = engine.start(Path(folder), environment, hooks=hooks)
        journals = Journals(directory)
        try:
            yield Site(engine, child, journals)
        finally:
            child.stop()
            journals.close()
