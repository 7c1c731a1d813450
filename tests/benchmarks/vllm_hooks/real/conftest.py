"""The benchmark's own parts on vLLM's classes. Runs only where vLLM is installed."""

import importlib.util
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

if importlib.util.find_spec("vllm") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vLLM's own, at import
        from benchmarks.vllm_hooks.floor import floors
        from benchmarks.vllm_hooks.patches import all_patches
        from benchmarks.vllm_hooks.steps import Bench
        from otel_llm.demo.vllm.model import write_model

    MakeBench = Callable[..., Bench]

    @pytest.fixture
    def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Where the hooks of this test write."""
        folder = tmp_path / "journals"
        monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(folder))
        monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(8 << 20))
        return folder

    @pytest.fixture
    def bench(journals: Path, tmp_path: Path) -> MakeBench:
        """Makes a bench of a shape."""
        model, others = write_model(tmp_path / "model"), floors(tmp_path)

        def make(*, asynchronous: bool, drafts: int = 0) -> Bench:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return Bench(
                    model,
                    all_patches(),
                    journals,
                    others,
                    asynchronous=asynchronous,
                    drafts=drafts,
                )

        return make
