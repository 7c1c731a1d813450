"""Runs each question in a process of its own, so that a crash or a hang costs one row only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gpuprobe.native import HERE
from gpuprobe.results import ResultFile

_GRACE_S = 2.0
_HANGS_PER_COPY = 3
_STDERR_CHARS = 1200


class Budget:
    """Seconds left of a stage."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the end, never below zero."""
        return max(0.0, self._end - time.monotonic())


class Question(NamedTuple):
    """One row to be: `needs_s` is what it must have left to be worth starting."""

    name: str
    scenario: str
    spec: dict[str, Any]
    needs_s: float = 5.0
    limit_s: float = 30.0
    environment: dict[str, str] | None = None


@contextmanager
def device_held(work: Path) -> Iterator[None]:
    """A process that only keeps the device open; without a GPU it ends by itself."""
    spec = work / "hold.spec"
    content = {"scenario": "hold", "report": str(work / "hold.report")}
    spec.write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, str(HERE / "probe.py"), "--row", str(spec)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run_all(questions: Iterable[Question], results: ResultFile, budget: Budget, work: Path) -> None:
    """Ask one after the other while there is time; what there was no time for is written down."""
    hung: Counter[str] = Counter()
    for question in questions:
        copy = question.spec.get("copy", {}).get("label", "")
        if hung[copy] >= _HANGS_PER_COPY:
            detail = f"{copy} did not end in {_HANGS_PER_COPY} rows; the time is left to others"
            results.row({"name": question.name, "outcome": "skipped", "detail": detail})
            continue
        if budget.left() < question.needs_s + _GRACE_S:
            detail = f"needs {question.needs_s:.0f} s, {budget.left():.0f} s were left"
            results.row({"name": question.name, "outcome": "skipped", "detail": detail})
            continue
        row = run(question, min(question.limit_s, budget.left() - _GRACE_S), work)
        results.row(row)
        hung[copy] += row["outcome"] == "timeout"
        print(f"  {row['outcome']:8} {row['seconds']:6.1f} s  {row['name']}", flush=True)


def run(question: Question, limit_s: float, work: Path) -> dict[str, Any]:
    """Run one row to its end, its crash, or its time limit."""
    stem = "".join(ch if ch.isalnum() else "-" for ch in question.name)
    report, spec, log = (work / f"{stem}.{kind}" for kind in ("report", "spec", "log"))
    report.unlink(missing_ok=True)
    content = {**question.spec, "scenario": question.scenario, "report": str(report)}
    spec.write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, "-X", "faulthandler", str(HERE / "probe.py"), "--row", str(spec)]
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(question.environment or {})},
            start_new_session=True,
        )
        outcome, detail = _await(process, limit_s)
    row: dict[str, Any] = {"name": question.name, "scenario": question.scenario, "outcome": outcome}
    row["seconds"] = round(time.monotonic() - began, 3)
    found = _read(report)
    if outcome == "ok" and "error" in found:
        row["outcome"], detail = "failed", str(found.pop("error"))
    if row["outcome"] != "ok":
        row["detail"] = detail
        row["log"] = log.read_text(encoding="utf-8", errors="replace")[-_STDERR_CHARS:]
    return {**row, **found}


def _await(process: subprocess.Popen[bytes], limit_s: float) -> tuple[str, str]:
    try:
        code = process.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        _end_group(process)
        return "timeout", f"no end within {limit_s:.0f} s; what it reported until then is kept"
    _end_group(process)
    if code == 0:
        return "ok", ""
    if code < 0:
        return "crashed", f"ended by signal {-code} ({signal.Signals(-code).name})"
    return "failed", f"ended with exit status {code}; see log"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the row's own process group: the row and any load that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _read(report: Path) -> dict[str, Any]:
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(content)
