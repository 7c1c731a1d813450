"""`make drill`: each fault once, in a running stack, and who was told when.

Every drill has a Prometheus and an Alertmanager of its own that remember nothing, so that an old
fault cannot be taken for a new one.
"""

import argparse
import contextlib
import datetime as dt
import math
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import report
from benchmarks.drills import scale
from benchmarks.drills.evidence import NEVER, QUESTIONS
from benchmarks.drills.faults import FAULTS, Fault, bound_s
from benchmarks.drills.load import STEADY, Load
from benchmarks.drills.stack import AFTER_S, DrillStack
from benchmarks.drills.watch import Told, Watch

BASELINE_S = 20.0
PATIENCE_S = 240.0
"""Longest wait for an alert that does not come."""
AFTERMATH_S = 3.0
CONTROL_S = 8.0
"""So long before the fault the store must not say yet what it is. A recording breaks its device
somewhat before we think so, as the agent began to read it before it was ready."""
EXPLAINED_WITHIN_S = 20.0
"""A row is there within 5 s; a step of an engine that stood still ends when that is mended."""
DOCS = Path("docs/drills.md")


class Outcome(msgspec.Struct, frozen=True):
    """What came of a drill. Times in seconds, on rules that are `scale.SCALE` times faster."""

    fault: str
    alert: str
    detected: bool
    took_s: float
    bound_s: float
    within_bound: bool
    pages: list[str]
    false_pages: list[str]
    explained: bool


def drill(fault: Fault, stack: DrillStack, folder: Path) -> Outcome:
    """Wait in peace, break it, wait for the alert, mend it, and ask the store what it was."""
    question = QUESTIONS.get(fault.name, NEVER)
    patience_s = EXPLAINED_WITHIN_S if fault.name in QUESTIONS else 0.0
    with contextlib.ExitStack() as undo:
        # The last to be undone is the first here; each is, whatever becomes of the others.
        if fault.mend is not None:
            undo.callback(fault.mend, stack)
        undo.callback(stack.steady)
        if fault.prepare is not None:
            fault.prepare(stack)
        broken_s = time.monotonic() + (BASELINE_S if fault.prepare is None else AFTER_S)
        since = dt.datetime.now(dt.timezone.utc)
        watch = Watch(folder, stack)
        undo.callback(watch.stop)
        _until(broken_s - CONTROL_S)
        known = stack.answer(question, since) > 0
        _until(broken_s)
        more = fault.break_it(stack)
        if more is not None:
            undo.callback(more.stop)
        found, most_s = _wait(fault, watch, broken_s)
        time.sleep(AFTERMATH_S)
    explained = not known and stack.tells(question, since, patience_s)
    broken_s = min(broken_s, stack.event_s(since))
    return _outcome(fault, watch.pager.told, found, broken_s, most_s, explained)


def _until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))


def _wait(fault: Fault, watch: Watch, broken_s: float) -> tuple[Told | None, float]:
    """The first notification of the fault's alert, and the bound at that time."""
    most_s = math.inf
    while time.monotonic() < broken_s + PATIENCE_S:
        for told in list(watch.pager.told):
            if told.at_s >= broken_s - CONTROL_S and _matches(fault, told):
                return told, min(most_s, bound_s(fault, watch))
        if not fault.slo:
            most_s = bound_s(fault, watch)
        time.sleep(0.2)
    return None, most_s


def _matches(fault: Fault, told: Told) -> bool:
    wanted = {"alertname": fault.alert, **fault.labels}
    return all(told.labels.get(label) == value for label, value in wanted.items())


def _outcome(
    fault: Fault,
    told: list[Told],
    found: Told | None,
    broken_s: float,
    most_s: float,
    explained: bool,
) -> Outcome:
    pages = [one.labels["alertname"] for one in told if one.receiver == "page"]
    early = [
        one.labels["alertname"] for one in told if one.receiver == "page" and one.at_s < broken_s
    ]
    right = {fault.alert, *fault.pages}
    took_s = math.inf if found is None else found.at_s - broken_s
    return Outcome(
        fault.name,
        fault.alert,
        found is not None,
        round(took_s, 1) if found else 0.0,
        round(most_s, 1) if math.isfinite(most_s) else 0.0,
        found is not None and took_s <= most_s,
        sorted(set(pages)),
        sorted({*(set(pages) - right), *early}),
        explained,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the drills.

    Returns:
        0 if each was told within its bound and nothing else paged, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills")
    only = "faults whose name holds this; results are written of a whole run alone"
    parser.add_argument("--only", default="", help=only)
    chosen = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if chosen.only in fault.name]
    if not faults:
        parser.error(f"no fault is called {chosen.only!r}: {', '.join(one.name for one in FAULTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="otel-llm-drills-"))
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        stack = DrillStack(folder)
        undo.callback(shutil.rmtree, stack.journal_dir, ignore_errors=True)
        undo.callback(stack.stop)
        stack.begin()
        undo.callback(Load(stack.gateway_url, stack.engines.model, STEADY).stop)
        outcomes = list(_drills(faults, stack, folder))
    if faults == list(FAULTS):
        _write(outcomes)
    return 0 if all(one.within_bound and not one.false_pages for one in outcomes) else 1


def _drills(faults: list[Fault], stack: DrillStack, folder: Path) -> Iterator[Outcome]:
    for number, fault in enumerate(faults):
        outcome = drill(fault, stack, folder / f"drill-{number}")
        sys.stdout.write(f"{msgspec.json.encode(outcome).decode()}\n")
        sys.stdout.flush()
        yield outcome


def _write(outcomes: list[Outcome]) -> None:
    count = len(outcomes)
    result: dict[str, Any] = {
        "machine": report.machine(),
        "method": f"real Prometheus and Alertmanager, the demo's stack, rules {scale.SCALE} times "
        f"faster, scrapes and evaluations every {scale.EVERY_S:g} s; GPU faults are replayed",
        "faults": count,
        "detected_share": round(sum(one.detected for one in outcomes) / count, 3),
        "within_bound_share": round(sum(one.within_bound for one in outcomes) / count, 3),
        "false_pages": sum(len(one.false_pages) for one in outcomes),
        "explained_share": round(sum(one.explained for one in outcomes) / count, 3),
        "drills": [msgspec.to_builtins(one) for one in outcomes],
    }
    text = msgspec.json.format(msgspec.json.encode(result), indent=2).decode()
    (report.RESULTS / "drills.json").write_text(text + "\n", encoding="utf-8")
    page = _page(result, outcomes)
    (report.RESULTS / "drills.md").write_text(page, encoding="utf-8")
    DOCS.write_text(page, encoding="utf-8")


def _page(result: dict[str, Any], outcomes: list[Outcome]) -> str:
    head = (
        "# Drills\n\n`make drill` breaks the demo's stack in each of these ways and waits for "
        f"the alert: {result['method']}. Times are from the fault to Alertmanager's message; the "
        "bound is the least time that the rule's condition can take, `for`, two evaluations, one "
        "scrape and the time that the fault needs to show in a metric. A page that does not "
        "belong to the fault is false. Explained means that the store's facts name the cause "
        "(`benchmarks/drills/evidence.py`) and did not before; what is away writes no facts.\n\n"
        f"{result['faults']} faults, {100 * result['detected_share']:.0f} % told, "
        f"{100 * result['within_bound_share']:.0f} % within the bound, "
        f"{result['false_pages']} false pages, "
        f"{100 * result['explained_share']:.0f} % explained.\n\n"
        "| fault | alert | told after, s | bound, s | within | pages | false pages | explained |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {one.fault} | {one.alert} | {one.took_s if one.detected else 'never'} | "
        f"{one.bound_s} | {'yes' if one.within_bound else 'NO'} | {', '.join(one.pages)} | "
        f"{', '.join(one.false_pages)} | {'yes' if one.explained else 'no'} |\n"
        for one in outcomes
    ]
    return head + "".join(rows)


if __name__ == "__main__":
    sys.exit(main())
