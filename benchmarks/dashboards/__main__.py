"""Check the boards and draw them: `make check-dashboards`, `make preview`."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import tomllib

from benchmarks import report
from benchmarks.dashboards import boards, check, large, page
from benchmarks.dashboards.record import Recording, kept, record
from otel_llm.dashboards.build import GENERATED

REASONS = Path(__file__).with_name("without_data.toml")
EMPTY_SHARE = 0.05


def main() -> int:
    """Record the demo if none is kept, and ask every panel; with `--preview` draw them instead.

    Returns:
        0; 1 if a panel failed, too many are empty, or one is empty without a reason.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboards", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path(".dashboards"), help="of the recording")
    parser.add_argument("--again", action="store_true", help="record even if one is kept")
    parser.add_argument("--preview", action="store_true", help="draw contact sheets")
    parser.add_argument("--large", type=Path, help="ask a large store, which benchmarks.store kept")
    options = parser.parse_args()
    if options.large is not None:
        return _told(_earlier() | {"large": large.measure(options.large.absolute())})
    directory = options.dir.absolute()
    recording = None if options.again else kept(directory)
    if recording is None:
        recording = record(directory)
    result, asked = judged(directory, recording)
    if options.preview:
        from benchmarks.dashboards.preview import draw

        draw(asked, boards.load(GENERATED), directory / "preview")
        print(f"{directory / 'preview'}: one page and one picture for each board")
        return 0
    kept_figures = {name: value for name, value in _earlier().items() if name == "large"}
    return _told(result | kept_figures)


def _told(result: dict[str, Any]) -> int:
    """Write and print the results; 1 if something is not as it must be."""
    report.write("dashboards", result, page.render(result))
    print(page.render(result))
    wrong = complaints(result)
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    return 1 if wrong else 0


def _earlier() -> dict[str, Any]:
    file = report.RESULTS / "dashboards.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def judged(directory: Path, recording: Recording) -> tuple[dict[str, Any], list[check.Asked]]:
    """The figures of `dashboards.json`, and the answers they are made from."""
    all_boards = boards.load(GENERATED)
    with check.asker(directory, recording, all_boards) as yet:
        asked = check.ask_all(yet, all_boards)
        exemplars = check.exemplars(yet, asked)
    named = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    always, reasons = named["without_data"], named["without_data"] | named["may_be_without_data"]
    empty = [one for one in asked if not one.has_data and not one.errors]
    took = sorted((answer.took_ms, one.name) for one in asked for answer in one.answers)
    result: dict[str, Any] = {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "grafanalib", "clickhouse-connect"),
        "boards": len(all_boards),
        "panels": len(asked),
        "queries": sum(len(one.answers) for one in asked),
        "panels_failing": sum(bool(one.errors) for one in asked),
        "panels_without_data": len(empty),
        "calls_recorded": recording.calls,
        "failing": {one.name: one.errors for one in asked if one.errors},
        "without_data": {one.name: reasons.get(one.name, "") for one in empty},
        "reasons_not_needed": sorted(set(always) - {one.name for one in empty}),
        "json_problems": boards.problems(all_boards),
        "exemplars": exemplars,
        "query_ms": {"median": round(took[len(took) // 2][0], 1), "max": round(took[-1][0], 1),
                     "slowest": took[-1][1]},
    }  # fmt: skip
    return result, asked


def complaints(result: dict[str, Any]) -> list[str]:
    """What of a result is not as it must be."""
    found = [f"failing: {name}: {why}" for name, why in result["failing"].items()]
    found += [f"in the JSON: {what}" for what in result["json_problems"]]
    found += [
        f"without data, and {REASONS.name} has no reason: {name}"
        for name, why in result["without_data"].items()
        if not why
    ]
    found += [f"{REASONS.name} names {name}, which has data" for name in
              result["reasons_not_needed"]]  # fmt: skip
    if result["panels_without_data"] > EMPTY_SHARE * result["panels"]:
        found.append(
            f"{result['panels_without_data']} of {result['panels']} panels are without data"
        )
    if not result["exemplars"]:
        found.append("no exemplar leads from a histogram to a trace")
    over = result["large"]["over"] if "large" in result else ["never asked"]
    found += [f"above its budget in a large store: {name}" for name in over]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
