"""Measure, write `benchmarks/results/hooks.json` and `hooks.md`, and say what came out."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks import report
from benchmarks.hooks import measure, page


def main() -> None:
    """Run the benchmark; takes about a minute."""
    result = collect()
    report.write("hooks", result, page.render(result))
    print(page.render(result))


def collect() -> dict[str, Any]:
    """All figures, in the shape of `hooks.json`."""
    functions: dict[str, Callable[[], None]] = {}
    with measure.recorder() as (target, _), measure.recorder(enabled=False) as (disabled, _):
        for batch in measure.BATCHES:
            functions[f"prebuilt-{batch}"] = measure.prebuilt(target, batch)
            functions[f"built-{batch}"] = measure.built(target, batch)
            functions[f"disabled-{batch}"] = measure.prebuilt(disabled, batch)
        functions["request"] = measure.request(target)
        times = measure.hooks(functions)
    imports = measure.imports(
        {"import": "import otel_llm.recorder", "import msgspec": "import msgspec"}
    )
    quiet, every = (
        {name: report.spread(values) for name, values in (hooks | imported).items()}
        for hooks, imported in zip(times, imports, strict=True)
    )

    def medians(kind: str) -> dict[str, float]:
        return {str(batch): quiet[f"{kind}-{batch}"]["median"] for batch in measure.BATCHES}

    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "msgspec"),
        "step_us": medians("prebuilt"),
        "step_us_with_lists": medians("built"),
        "step_us_disabled": medians("disabled"),
        "request_us": quiet["request"]["median"],
        "bytes_per_step": {str(batch): measure.bytes_per_step(batch) for batch in measure.BATCHES},
        "import_ms": quiet["import"]["median"],
        "import_msgspec_ms": quiet["import msgspec"]["median"],
        "goal": {"step_us": {str(b): 5 + 0.1 * b for b in measure.BATCHES}, "import_ms": 50},
        "spread": quiet,
        "spread_of_every_round": every,
        "method": page.METHOD,
    }


if __name__ == "__main__":
    main()
