"""Measure, write `benchmarks/results/hooks.json` and `hooks.md`, and say what came out."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.hooks import figures, measure, page

ROOT = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark; takes about ten minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument(
        "--vllm-python",
        type=Path,
        required=True,
        help="Python of an environment with vLLM and otel-llm; `make vllm` prints one",
    )
    chosen = parser.parse_args(arguments)
    print("the recorder, and imports: about a minute", file=sys.stderr)
    ours = recorder()
    result = {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "msgspec"),
        **figures.merged(ours, vllm(chosen.vllm_python)),
        "method": page.METHOD,
    }
    report.write("hooks", result, page.render(result))
    print(page.render(result))


def vllm(python: Path) -> dict[str, Any]:
    """What vLLM's Python measures; see `benchmarks.vllm_hooks`.

    Raises:
        subprocess.CalledProcessError: it failed; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "figures.json")
        # Without warnings: vLLM and what it imports have many of their own.
        options = ("-W", "ignore", "-m", "benchmarks.vllm_hooks", "--out")
        subprocess.run([python, *options, out], check=True, cwd=ROOT)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def recorder() -> figures.Recorded:
    """What the recorder's own calls and its import take."""
    functions: dict[str, Callable[[], None]] = {}
    with measure.recorder() as (target, _), measure.recorder(enabled=False) as (disabled, _):
        for batch in measure.BATCHES:
            functions[f"recorder-{batch}"] = measure.prebuilt(target, batch)
            functions[f"recorder with lists-{batch}"] = measure.built(target, batch)
            functions[f"recorder off-{batch}"] = measure.prebuilt(disabled, batch)
        functions["recorder request"] = measure.request(target)
        times = measure.hooks(functions)
    imports = measure.imports(
        {"import": "import otel_llm.recorder", "import msgspec": "import msgspec"}
    )
    return figures.Recorded(
        quiet=times.quiet | imports.quiet,
        every=times.every | imports.every,
        bytes_per_step={str(batch): measure.bytes_per_step(batch) for batch in measure.BATCHES},
    )


if __name__ == "__main__":
    main()
