"""Measure in vLLM's Python, and write one JSON file of figures for `benchmarks.hooks`."""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

_ENVIRONMENT = {
    # Nothing is fetched, and nothing is told to anybody.
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # The hooks are put in and taken out here.
    "VLLM_PLUGINS": "",
    # Both halves in this process, where they can be switched between two runs.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # One thread: those of a small model only wait for one another.
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
_began = time.monotonic()


def main() -> None:
    """Run it; about eight minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vllm_hooks", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="try everything once; no figures")
    chosen = parser.parse_args()
    from otel_llm.settings import default_journal_dir

    base = Path(default_journal_dir()).parent
    with tempfile.TemporaryDirectory(dir=base, prefix="otel-llm-bench-") as folder:
        os.environ.update(_ENVIRONMENT, OTEL_LLM_JOURNAL_DIR=f"{folder}/journals")
        from benchmarks.vllm_hooks.collect import collect

        figures = collect(Path(folder), say, quick=chosen.quick)
    chosen.out.write_text(json.dumps(figures), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # vLLM's own end takes seconds and is of no interest


def say(text: str) -> None:
    """Print progress."""
    print(f"[{time.monotonic() - _began:4.0f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
