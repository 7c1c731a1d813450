"""The demo's stack with handles for faults."""

import datetime as dt
import json
import math
import signal
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.drills.evidence import EVENT_TIME
from otel_llm.demo.child import DemoError
from otel_llm.demo.engines import Engines
from otel_llm.demo.stack import Stack
from otel_llm.exporters.clickhouse.client import connect

OPTIONS = ("--max-running", "8", "--token-budget", "128", "--blocks", "160")
LIMITS = ("--max-model-len", "1900")
BUSY_W = 60.0
GPU = "GPU-drill-0"
RECORDING_S = 900
FREEZE_TRIES = 20
AFTER_S = 30.0
"""When a recording's fault comes, after the agent began to read it."""


class DrillStack(Stack):
    """The demo's stack, whose parts can be hurt and mended.

    Args:
        work_dir, engines, max_in_flight: as for the demo's.
        devices: the same; a recording of one GPU if empty.
    """

    def __init__(
        self,
        work_dir: Path,
        engines: Engines | None = None,
        max_in_flight: int = 48,
        devices: str = "",
    ) -> None:
        devices = devices or recording(work_dir / "devices.jsonl", [])
        super().__init__(work_dir, engines, max_in_flight, devices)
        self._pulse: threading.Event | None = None
        self._pulsing: threading.Thread | None = None

    @property
    def otlp_port(self) -> str:
        """Port of the store's page."""
        return self._ports["OTLP_HTTP"]

    def begin(self) -> None:
        """Start all of it."""
        self.start(dict.fromkeys(self.engine_names, (*OPTIONS, *LIMITS)))

    def devices(
        self, events: list[dict[str, Any]], watts: float = BUSY_W, throttle: int = 0
    ) -> None:
        """Restart the agent on a recording in which something happens after `AFTER_S`."""
        name = self.work_dir / f"devices-{len(list(self.work_dir.glob('devices-*')))}.jsonl"
        self._devices = recording(name, events, watts, throttle)
        self.stop("agent")
        self.start_agent()

    def restart_engine(self, name: str, *options: str) -> None:
        """Start an engine again at its old address, with other options."""
        port = str(httpx.URL(self._addresses[name]).port)
        if name in self.children:
            self.stop(name)
        engine = self._start_engine(name, {name: (*OPTIONS, *LIMITS, "--port", port, *options)})
        engine.ready()

    @property
    def _addresses(self) -> dict[str, str]:
        found = {}
        for name in self.engine_names:
            for line in (self.log_dir / f"{name}.log").read_text().splitlines():
                if line.startswith('{"ready"'):
                    found[name] = json.loads(line)["url"]
        return found

    def slow(self, *names: str) -> None:
        """Let engines run for a small part of the time, until `steady`."""
        self._pulse = stop = threading.Event()

        def pulse() -> None:
            while not stop.is_set():
                self._signal(signal.SIGSTOP, names)
                stop.wait(1.6)
                self._signal(signal.SIGCONT, names)
                stop.wait(0.15)

        self._pulsing = threading.Thread(target=pulse, daemon=True)
        self._pulsing.start()

    def freeze_at_work(self, name: str) -> None:
        """Stop an engine in the middle of a request, until `steady`.

        Raises:
            DemoError: it never had one.
        """
        for _ in range(FREEZE_TRIES):
            self._signal(signal.SIGSTOP, (name,))
            time.sleep(1.0)  # the agent reads what it wrote until then
            if self._open_requests(name):
                return
            self._signal(signal.SIGCONT, (name,))
            time.sleep(0.25)
        message = f"{name} had no request to be stopped in"
        raise DemoError(message)

    def _open_requests(self, name: str) -> float:
        page = httpx.get(f"{self.agent_url}/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == "otel_llm_requests_open" and sample.labels["service_name"] == name
        )

    def tells(self, question: str, since: dt.datetime, patience_s: float) -> bool:
        """Whether the store's answer is above 0, or comes to be within so many seconds."""
        deadline_s = time.monotonic() + patience_s
        while self.answer(question, since) <= 0:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(0.5)
        return True

    def answer(self, question: str, since: dt.datetime) -> float:
        """The store's answer to a question about the time since then; infinite for no row."""
        url = f"http://127.0.0.1:{self._ports['CLICKHOUSE']}"
        token = (self.data_dir / "token").read_text(encoding="utf-8").strip()
        with closing(connect(url=url, token=token)) as client:
            rows = client.query(question, parameters={"since": since}).result_rows
        return float(rows[0][0]) if rows else math.inf

    def event_s(self, since: dt.datetime) -> float:
        """When a device's fault came, on the monotonic clock; infinite if none did."""
        return self.answer(EVENT_TIME, since) / 1e9 - time.time() + time.monotonic()

    def steady(self) -> None:
        """Let all engines run again."""
        if self._pulse is not None and self._pulsing is not None:
            self._pulse.set()
            self._pulsing.join()
        self._signal(signal.SIGCONT, tuple(self.engine_names))

    def _signal(self, number: signal.Signals, names: tuple[str, ...]) -> None:
        for name in names:
            if name in self.children:
                self.children[name].process.send_signal(number)


def recording(
    path: Path, events: list[dict[str, Any]], watts: float = BUSY_W, throttle: int = 0
) -> str:
    """Write a recording of one GPU; returns it as the setting `devices` names it.

    Args:
        path: of the file.
        events: what happens, as lines of a recording; a GPU that is lost tells nothing after.
        watts: what it draws after `AFTER_S`.
        throttle: its throttle reasons after that, as nvml.h numbers them.
    """
    lost_s = min((e["at_s"] for e in events if e.get("event") == "lost"), default=RECORDING_S)
    lines: list[dict[str, Any]] = [
        {
            "at_s": float(at_s),
            "device": 0,
            "energy_mj": _energy_mj(at_s, watts),
            "power_mw": int((watts if at_s >= AFTER_S else BUSY_W) * 1000),
            "gpu_utilization": 60,
            "memory_used_bytes": 60 << 30,
            "sm_clock_mhz": 1980,
            "temperature_c": 60,
            "throttle_reasons": throttle if at_s >= AFTER_S else 0,
            "ecc_corrected": 0,
            "ecc_uncorrected": _uncorrected(events, at_s),
        }
        for at_s in range(RECORDING_S)
        if at_s < lost_s
    ]
    told = [{"device": 0, **event} for event in events if "event" in event]
    device = {"id": GPU, "name": "made-up GPU", "memory_bytes": 80 << 30}
    header = {"note": "made up, for a drill", "devices": [device]}
    ordered = sorted([*lines, *told], key=lambda line: float(line["at_s"]))
    text = "\n".join(json.dumps(line) for line in [header, *ordered])
    path.write_text(text + "\n", encoding="utf-8")
    return f"replay:{path}"


def _energy_mj(at_s: float, watts: float) -> int:
    return int(1000 * (min(at_s, AFTER_S) * BUSY_W + max(0.0, at_s - AFTER_S) * watts))


def _uncorrected(events: list[dict[str, Any]], at_s: float) -> int:
    return sum(event["at_s"] <= at_s for event in events if "ecc" in event)
