"""vLLM's own classes, with our hooks in them. Runs only where vLLM is installed."""

import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if importlib.util.find_spec("vllm") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    os.environ.setdefault("VLLM_TARGET_DEVICE", "cpu")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vLLM's own, at import
        from tests.engines.vllm.real.config import Shape, vllm_config
        from tests.engines.vllm.real.drive import Engine
        from tests.engines.vllm.real.journals import Facts, read

        vllm_config(Shape())  # imports the rest; the first one takes long

    MakeEngine = Callable[..., Engine]

    @pytest.fixture
    def journal_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where the hooks of this test write."""
        folder = tmp_path / "journals"
        monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(folder))
        monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(8 << 20))
        return folder

    @pytest.fixture
    def hooks(journal_dir: Path) -> Iterator[Path]:
        """All hooks in place during the test."""
        from otel_llm.engines.vllm.instrument import instrument, uninstrument

        instrument()
        yield journal_dir
        uninstrument()

    @pytest.fixture
    def engine(hooks: Path) -> MakeEngine:
        """Makes an engine of a shape, with the hooks in place."""
        assert hooks
        return lambda **shape: Engine(Shape(**shape))

    @pytest.fixture
    def core_facts(hooks: Path) -> Callable[[], Facts]:
        """Reads the facts of the one engine core of this test."""

        def core() -> Facts:
            (facts,) = read(hooks, "engine")
            return facts

        return core
