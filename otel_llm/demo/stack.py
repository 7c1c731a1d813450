"""The demo's processes: the embedded stack, the agent, its engines and a gateway."""

import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from otel_llm.demo.child import Child, DemoError
from otel_llm.demo.engines import Engines
from otel_llm.demo.reference import ReferenceEngines
from otel_llm.journal.directory import scan


def _port(url: str) -> str:
    return str(httpx.URL(url).port)


class Stack:
    """Everything the demo runs, in the order in which facts flow.

    Args:
        work_dir: holds data, journals, state and logs of this run.
        engines: what serves the calls; two reference engines if nothing is said.
        max_in_flight: calls the gateway serves at once; more are shed.
        devices: what the agent reads, as the setting `devices` says it.
    """

    def __init__(
        self,
        work_dir: Path,
        engines: Engines | None = None,
        max_in_flight: int = 48,
        devices: str = "none",
    ) -> None:
        self._devices = devices
        self.work_dir = work_dir
        self.data_dir = work_dir / "data"
        self.log_dir = work_dir / "logs"
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self.children: dict[str, Child] = {}
        self.engines: Engines = engines or ReferenceEngines()
        self._max_in_flight = max_in_flight
        shm = Path("/dev/shm")  # noqa: S108  journals are shared memory by design
        self.journal_dir = tempfile.mkdtemp(
            prefix="otel-llm-demo-", dir=shm if shm.is_dir() else work_dir
        )
        self._ports: dict[str, str] = {
            "CLICKHOUSE": "0",
            "OTLP_HTTP": "0",
            "OTLP_GRPC": "0",
            "AGENT": "0",
        }
        self.gateway_url = ""
        self.agent_url = ""

    @property
    def environment(self) -> dict[str, str]:
        """Settings that every process of the run shares."""
        return {
            "OTEL_LLM_DATA_DIR": str(self.data_dir),
            "OTEL_LLM_STATE_DIR": str(self.work_dir / "state"),
            "OTEL_LLM_JOURNAL_DIR": self.journal_dir,
            **{f"OTEL_LLM_{name}_PORT": port for name, port in self._ports.items()},
            "OTEL_LLM_STEP_SPAN_RATIO": "0.02",
            "OTEL_LLM_DEVICES": self._devices,
            # The demo's clients are on this machine and may say which tenant they are.
            "OTEL_LLM_TRUSTED_PROXIES": "127.0.0.0/8,::1/128",
        }

    def start(self, options: Mapping[str, Sequence[str]]) -> None:
        """Start everything and wait until it serves.

        Args:
            options: options of the engines, by name.

        Raises:
            DemoError: a process did not start.
        """
        # The slowest to start first: the store.
        self._spawn_up()
        engines = [self._start_engine(name, options) for name in self.engine_names]
        otlp = self._up_ready()
        self.start_agent()
        upstreams = [f"{engine.name}={engine.ready()['url']}" for engine in engines]
        self._check_hooks()
        self.start_gateway(upstreams, otlp)

    def _check_hooks(self) -> None:
        """An engine without hooks would serve all calls, and each would be found incomplete."""
        if len(scan(Path(self.journal_dir), "engine")) < len(self.engine_names):
            message = (
                "The engine serves, but its hooks are off: it writes no journal. Install otel-llm "
                f"into the engine's own environment. Its log is in {self.log_dir}."
            )
            raise DemoError(message)

    def start_up(self) -> str:
        """Start the embedded stack, again on its old ports; returns its OTLP endpoint."""
        self._spawn_up()
        return self._up_ready()

    def _spawn_up(self) -> None:
        self.spawn("up", ["otel_llm.cli.main", "up", "--json"])

    def _up_ready(self) -> str:
        told = self.children["up"].ready()
        self._ports["CLICKHOUSE"] = _port(told["clickhouse_url"])
        self._ports["OTLP_HTTP"] = _port(told["otlp_url"])
        self._ports["OTLP_GRPC"] = _port(told["otlp_grpc_url"])
        return str(told["otlp_url"])

    def start_agent(self) -> None:
        """Start the agent, again on its old port."""
        told = self.spawn("agent", ["otel_llm.cli.main", "agent", "--json"]).ready()
        self._ports["AGENT"] = _port(told["url"])
        self.agent_url = told["url"]

    @property
    def engine_names(self) -> list[str]:
        """The engines' names."""
        return list(self.engines.names)

    def spawn(self, name: str, args: Sequence[str]) -> Child:
        """Start one of our programs under a name: `python -m` and the arguments."""
        command = [sys.executable, "-m", *args]
        self.children[name] = Child(name, command, self.log_dir, self.environment)
        return self.children[name]

    def _start_engine(self, name: str, options: Mapping[str, Sequence[str]]) -> Child:
        engine = self.engines.start(name, options.get(name, ()), self.log_dir, self.environment)
        self.children[name] = engine
        return engine

    def start_gateway(self, upstreams: Sequence[str], otlp: str) -> None:
        """Start the gateway.

        Args:
            upstreams: as `NAME=URL`.
            otlp: OTLP endpoint for its spans.
        """
        args = ["otel_llm.demo.gateway", "--port", "0", "--otlp", otlp]
        args += ["--otlp-token-file", str(self.data_dir / "token")]
        args += ["--max-in-flight", str(self._max_in_flight)]
        for upstream in upstreams:
            args += ["--upstream", upstream]
        self.gateway_url = self.spawn("gateway", args).ready()["url"]

    def stop(self, *names: str) -> None:
        """Stop the named processes, or all of them, callers first."""
        order = ["gateway", *self.engine_names, "agent", "up"]
        for name in [n for n in order if n in self.children and (not names or n in names)]:
            self.children.pop(name).stop()

    def kill(self, name: str) -> None:
        """SIGKILL one process and wait until it is gone."""
        self.children.pop(name).stop(signal.SIGKILL)

    def dead(self) -> list[str]:
        """Names of processes that ended on their own."""
        return [n for n, child in self.children.items() if child.process.poll() is not None]
