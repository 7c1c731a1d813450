"""The ways that spans go into one store, and the processes that each of them costs."""

import json
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from otel_llm.demo.child import Child

HERE = Path(__file__).parent
WAYS = {
    "collector as deployed": ("durable.yaml",),
    "collector that gathers from disk": ("durable.yaml", "gathering.yaml"),
    "collector that gathers in memory": ("durable.yaml", "batching.yaml"),
}
DURABLE = tuple(WAYS)[:2]
"""What these acknowledge is on disk, as with our receiver."""


class Collector(Child):
    """A real collector; ready when its health page says so."""

    def __init__(self, name: str, program: str, work: Path, store: "Store") -> None:
        addresses = [f"127.0.0.1:{_free_port()}" for _ in range(2)]
        self.url, self._health = f"http://{addresses[0]}", f"http://{addresses[1]}/"
        command = [program]
        for file in WAYS[name]:
            command += ["--config", str(HERE / file)]
        environment = {
            "OTLP_HTTP_ENDPOINT": addresses[0],
            "HEALTH_ENDPOINT": addresses[1],
            "QUEUE_DIR": str(work / name.replace(" ", "-")),
            "CLICKHOUSE_ENDPOINT": store.clickhouse,
            "CLICKHOUSE_PASSWORD": store.token,
        }
        super().__init__(name, command, work, environment)

    def _told(self) -> dict[str, Any] | None:
        try:
            up = httpx.get(self._health, trust_env=False).status_code == 200
        except httpx.TransportError:
            return None
        return {} if up else None


class Store(NamedTuple):
    """The store that all ways end in: a running `otel-llm up`.

    Attributes:
        pid: its process, which is our receiver too.
        otlp: where it takes OTLP over HTTP.
        clickhouse: its ClickHouse interface.
        token: of that interface.
    """

    pid: int
    otlp: str
    clickhouse: str
    token: str

    def ask(self, sql: str) -> Any:  # noqa: ANN401  whatever one value is
        """One value."""
        answer = httpx.post(
            self.clickhouse, content=f"{sql} FORMAT JSONCompactEachRow",
            auth=("otel_llm", self.token), trust_env=False, timeout=60,
        )  # fmt: skip
        answer.raise_for_status()
        return json.loads(answer.text)[0]

    def spans(self) -> int:
        """Rows of otel_traces."""
        return int(self.ask("SELECT count() FROM otel_traces"))


class Round(NamedTuple):
    """One round of a way.

    Attributes:
        spans: how many were stored.
        cpu_s: CPU time of all its processes, in seconds, merges included.
        wall_s: until all were stored, in seconds.
    """

    spans: int
    cpu_s: float
    wall_s: float


def run_round(store: Store, url: str, pids: Sequence[int], bodies: Sequence[bytes]) -> Round:
    """Send bodies, wait until their spans are stored and merged, and count the CPU time."""
    before, cpu, began = store.spans(), _cpu_s(pids), time.monotonic()
    wanted = before + int(_spans_of(bodies))
    headers = {"Content-Type": "application/x-protobuf"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
        for body in bodies:
            while client.post("/v1/traces", content=body).status_code != 200:
                time.sleep(0.05)
    while (now := store.spans()) < wanted:
        time.sleep(0.1)
        assert time.monotonic() - began < 120, f"{wanted - now} spans are missing"
    assert now == wanted, f"{now - wanted} spans are stored twice"
    wall_s = time.monotonic() - began
    while store.ask("SELECT count() FROM system.merges"):
        time.sleep(0.1)
    return Round(now - before, _cpu_s(pids) - cpu, wall_s)


def version(program: str) -> str:
    """The collector's version."""
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return told.stdout.split()[-1]


def _spans_of(bodies: Sequence[bytes]) -> int:
    from otel_llm.collector.decoder import check

    return sum(check("traces", body).items for body in bodies)


def _cpu_s(pids: Sequence[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
