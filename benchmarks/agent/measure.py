"""The whole agent as a process, under the load as it would come."""

import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from benchmarks.agent.load import Load, device_of, options_of
from benchmarks.agent.pace import pace_ms
from otel_llm.demo.evidence import lost_records

DRAIN_S = 120.0
WARM_S = 5.0
"""Of load, before the agent's time is taken: what is imported, opened and made once."""
FLOOR = "benchmarks.agent.floor"


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes everything and keeps nothing, as a store that is quick and elsewhere would."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the body and acknowledge it."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = b"26.9.1.1\tUTC\n" if b"version()" in body[:2000] else b""
        self.send_response(200)
        if self.path.startswith("/v1/traces"):
            self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815  named by the base class

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Cost(NamedTuple):
    """What the agent took.

    Attributes:
        core_share: CPU time after `WARM_S` of load until all was read, by time of load: what
            keeping up takes, also where others had the machine's cores meanwhile.
        rss_mb: most resident memory, in MB.
        lost: facts lost, for any reason, when all was read.
        requests: requests that ended, as the load says.
        delivered: rows and spans acknowledged.
        behind_s: how long after the load's end the agent still had to read.
        windows: windows of energy closed.
        threads_ms: CPU time of each thread, in milliseconds per second of load.
        paces_ms: what `pace_ms` said once a second meanwhile, least first.
    """

    core_share: float
    rss_mb: float
    lost: int
    requests: int
    delivered: int
    behind_s: float
    windows: int
    threads_ms: dict[str, float]
    paces_ms: list[float]


class FloorCost(NamedTuple):
    """What the floor took.

    Attributes:
        core_share: CPU time until all was done, by time of load.
        parts_ms: of that, in milliseconds per second of load.
    """

    core_share: float
    parts_ms: dict[str, float]


def run(load: Load, seconds: float) -> Cost:
    """Serve the load for some time, and look at the agent's process."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shm, sink() as url:
        environment = _environment(Path(shm), load, url)
        command = [sys.executable, "-m", "benchmarks.agent.program", "--json"]
        agent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        try:
            assert agent.stdout is not None
            page = json.loads(agent.stdout.readline())["url"] + "/metrics"
            return _watched(load, seconds, agent.pid, page, environment)
        finally:
            agent.terminate()
            agent.wait(30)


def floor(load: Load, seconds: float) -> FloorCost:
    """The same load, followed by a program that does only what none can do without.

    Raises:
        RuntimeError: it did not do all of the work.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shm, sink() as url:
        environment = _environment(Path(shm), load, url)
        port = f"--port={url.rpartition(':')[2]}"
        command = [sys.executable, "-m", FLOOR, *options_of(load), port]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as program:
            try:
                assert program.stdout is not None
                ready = program.stdout.readline()
                _writer(load, seconds, environment).communicate()
                told = json.loads(program.stdout.readline() if ready else b"{}")
            finally:
                program.terminate()
    if told.get("lost", 1) or told["seconds"] < int(seconds):
        message = f"{seconds} s of load were not worked off: {told}"
        raise RuntimeError(message)
    parts = {name: 1000 * spent / seconds for name, spent in told["parts_s"].items()}
    return FloorCost(told["cpu_s"] / seconds, parts)


def _writer(load: Load, seconds: float, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Begin to write the load."""
    command = [sys.executable, "-m", "benchmarks.agent.load", *options_of(load)]
    return subprocess.Popen(
        [*command, f"--seconds={seconds}"], env=dict(environment), stdout=subprocess.PIPE
    )


def _watched(
    load: Load, seconds: float, pid: int, page: str, environment: Mapping[str, str]
) -> Cost:
    with _writer(load, WARM_S + seconds, environment) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(WARM_S)
        spent, before = _cpu_s(pid), _threads_s(pid)
        paces = list(_paces(writer))
        ended = time.monotonic()
        told = writer.stdout.read()
    wanted = load.engines * round((WARM_S + seconds) * load.rate)
    while time.monotonic() - ended < DRAIN_S and _steps(page) < wanted:
        time.sleep(1.0)  # its page costs the agent time too
    behind = time.monotonic() - ended
    time.sleep(5.0)  # held requests and late windows
    os.kill(pid, signal.SIGUSR1)  # its threads take their names
    time.sleep(0.1)
    used = _cpu_s(pid) - spent
    by_thread = _by_thread(pid, before, used, seconds)
    text = httpx.get(page).text
    return Cost(
        used / seconds,
        _peak_mb(pid),
        lost_records(text) + wanted - _steps(page),
        int(told),
        round(_sum(text, "otel_llm_agent_delivered_total")),
        behind,
        round(_sum(text, "otel_llm_device_windows_total")),
        by_thread,
        sorted(paces),
    )


def _paces(writer: subprocess.Popen[bytes]) -> Iterator[float]:
    """What `pace_ms` says once a second; over as soon as the load is."""
    while writer.poll() is None:
        yield pace_ms()
        with suppress(subprocess.TimeoutExpired):
            writer.wait(1.0)


@contextmanager
def sink() -> Iterator[str]:
    """The address of somebody who takes everything."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _environment(shm: Path, load: Load, url: str) -> dict[str, str]:
    """A directory of journals, eight H100s that play a recording, and 1 % of traces."""
    recording = shm / "devices.jsonl"
    recording.write_bytes(b"\n".join(_recording(load)) + b"\n")
    own = {
        "JOURNAL_DIR": str(shm / "journals"),
        "STATE_DIR": str(shm / "state"),
        "DATA_DIR": str(shm / "data"),
        "CLICKHOUSE_URL": url,
        "OTLP_ENDPOINT": url,
        "AGENT_PORT": "0",
        "TRACE_RATIO": "0.01",
        "STEP_SPAN_RATIO": "0.01",
        "DEVICES": f"replay:{recording}",
    }
    return os.environ | {f"OTEL_LLM_{name}": value for name, value in own.items()}


def _recording(load: Load) -> Iterator[bytes]:
    names = list(map(device_of, range(load.engines)))
    devices = [{"id": name, "name": "NVIDIA H100 80GB HBM3"} for name in names]
    yield msgspec.json.encode({"devices": devices})
    for tick in range(601):
        for place in range(load.engines):
            sample: dict[str, Any] = {"at_s": tick / 10, "device": place, "power_mw": 500_000}
            yield msgspec.json.encode({**sample, "energy_mj": 50_000 * tick})


def _cpu_s(pid: int) -> float:
    """CPU time of a process, in seconds."""
    return _stat_s(Path(f"/proc/{pid}"))


def _stat_s(task: Path) -> float:
    """CPU time of a process or thread, in seconds; see proc(5)."""
    fields = (task / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _threads_s(pid: int) -> dict[Path, float]:
    return {task: _stat_s(task) for task in Path(f"/proc/{pid}/task").iterdir()}


def _by_thread(
    pid: int, before: Mapping[Path, float], used_s: float, seconds: float
) -> dict[str, float]:
    """What each thread took since, by name; threads that have ended, and rounding, are `others`."""
    spent: defaultdict[str, float] = defaultdict(float)
    for task, spent_s in _threads_s(pid).items():
        name = (task / "comm").read_text(encoding="utf-8").strip()
        spent["loop" if task.name == str(pid) else name] += spent_s - before.get(task, 0.0)
    spent["others"] = used_s - sum(spent.values())
    ranked = sorted(spent.items(), key=lambda one: -one[1])
    return {name: round(1000 * spent_s / seconds, 1) for name, spent_s in ranked}


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    message = f"the kernel does not tell the peak memory of {pid}"
    raise LookupError(message)


def _steps(page: str) -> int:
    text = httpx.get(page, timeout=30).text
    return round(_sum(text, "otel_llm_step_batch_size_count"))


def _sum(text: str, name: str) -> float:
    lines = (line for line in text.splitlines() if line.startswith(name))
    return sum(float(line.rpartition(" ")[2]) for line in lines)
