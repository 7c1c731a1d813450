"""Measure, write `benchmarks/results/devices.json` and `devices.md`, and say what came out."""

import time

from benchmarks import report
from benchmarks.devices import measure, page


def main() -> None:
    """Run the benchmark; takes about half a minute."""
    result = {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "nvidia-ml-py", "msgspec"),
        **measure.collect(),
        "method": page.METHOD,
    }
    report.write("devices", result, page.render(result))
    print(page.render(result))


if __name__ == "__main__":
    main()
