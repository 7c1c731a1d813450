"""Records the demo and faults: its store, and what a Prometheus scraped while it ran."""

import asyncio
import re
import shutil
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from benchmarks.dashboards import gpus, trouble
from benchmarks.dashboards.servers import prometheus
from benchmarks.drills.stack import DrillStack
from otel_llm import alert_rules, runfile
from otel_llm.demo import client, evidence
from otel_llm.demo.child import Child
from otel_llm.demo.engines import PACE
from otel_llm.demo.reference import ReferenceEngines
from otel_llm.demo.stack import Stack
from otel_llm.demo.watch import PhaseWatch
from otel_llm.demo.workload import plan, quota
from otel_llm.devices.fake_nvml.build import SCRIPT_VARIABLE, build
from otel_llm.exporters.clickhouse.client import connect

_NAME = "recording.json"
_LAST_SCRAPES_S = 3.0
_SETTLE_S = 45.0


class Recording(msgspec.Struct, frozen=True):
    """A run that was kept.

    Attributes:
        from_ms: when it began, in milliseconds of the epoch.
        to_ms: its end; everything still ran.
        calls: calls made by the demo's workload.
        faults_ms: when its last call had ended and the faults began.
    """

    from_ms: int
    to_ms: int
    calls: int
    faults_ms: int


def record(directory: Path) -> Recording:
    """Run the demo's workload once, then some faults, and keep what it left.

    Args:
        directory: for the store (`data`) and Prometheus' data (`prometheus`); emptied first.

    Raises:
        DemoError: a process did not start.
    """
    shutil.rmtree(directory, ignore_errors=True)
    pace = PACE["reference"]
    calls = plan(pace.requests, pace.speedup)
    stack = _WithGpus(
        directory, ReferenceEngines(gpus.NAMES), pace.in_flight + quota(len(calls)), "nvml"
    )
    scraper: Child | None = None
    try:
        began = time.time_ns() // 1_000_000
        stack.start(stack.engines.options(calls))
        scraper, _ = prometheus(
            directory / "prometheus", _pages(stack), _rules(directory / "rules")
        )
        seen = asyncio.run(
            client.replay(
                calls, stack.gateway_url, stack.engines.model,
                PhaseWatch(Path(stack.journal_dir)), lambda _: None,
            )
        )  # fmt: skip
        healthy_until = time.time_ns() // 1_000_000
        trouble.make(stack)
        time.sleep(_LAST_SCRAPES_S)
        ended = time.time_ns() // 1_000_000
        stack.stop("gateway", *stack.engine_names)
        _settle(stack, seen)
    finally:
        stack.stop()
        if scraper is not None:
            scraper.stop()
        shutil.rmtree(stack.journal_dir, ignore_errors=True)
    kept = Recording(began, ended, len(calls), healthy_until)
    (directory / _NAME).write_bytes(msgspec.json.encode(kept))
    return kept


class _WithGpus(DrillStack):
    """The stack of the drills on a machine with GPUs, which a fake NVML plays."""

    @property
    def environment(self) -> dict[str, str]:
        """The demo's own, and where the fake is."""
        script = self.work_dir / "nvml.script"
        if not script.exists():
            build(self.work_dir)
            script.write_text("\n".join(gpus.script()) + "\n", encoding="utf-8")
        return {
            **super().environment,
            "LD_LIBRARY_PATH": str(self.work_dir),
            SCRIPT_VARIABLE: str(script),
        }


def kept(directory: Path) -> Recording | None:
    """The recording of a directory, if it holds one."""
    file = directory / _NAME
    return msgspec.json.decode(file.read_bytes(), type=Recording) if file.exists() else None


def _rules(directory: Path) -> list[Path]:
    """The generated rules that fit what we measure, evaluated often enough for a short run."""
    generated = Path(alert_rules.__path__[0]) / "generated/rules"
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for path in sorted(generated.glob("*.yaml")):
        if path.stem.startswith(("slo-", "health-")) or path.stem == "normalise-agent":
            text = path.read_text(encoding="utf-8")
            made.append(directory / path.name)
            made[-1].write_text(_INTERVAL.sub("", text), encoding="utf-8")
    return made


_INTERVAL = re.compile(r"^ *interval: \w+\n", re.MULTILINE)
"""A group's own, which may be minutes; without it Prometheus' common one holds."""


def _pages(stack: Stack) -> dict[str, tuple[str, str]]:
    """The three pages of metrics, by the jobs of `deploy/prometheus`, and the token of one."""
    run = runfile.read(stack.data_dir)
    if run is None:
        message = "the stack left no run file"
        raise RuntimeError(message)
    pages = {
        "otel-llm-gateway": stack.gateway_url,
        "otel-llm-agent": stack.agent_url,
        "otel-llm-store": run.otlp_url,
    }
    tokens = {"otel-llm-store": run.token}
    return {name: (urlsplit(url).netloc, tokens.get(name, "")) for name, url in pages.items()}


def _settle(stack: Stack, seen: list[client.Seen]) -> None:
    until = time.monotonic() + _SETTLE_S
    with closing(connect(data_dir=str(stack.data_dir))) as store:
        while not evidence.settled(store, seen) and time.monotonic() < until:
            time.sleep(0.5)
