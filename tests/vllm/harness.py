"""A real vLLM between the demo's gateway and the embedded store."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from otel_llm.demo.stack import Stack
from otel_llm.demo.vllm.engine import VllmEngine
from otel_llm.demo.vllm.paced import WORKER_CLS
from otel_llm.runfile import read

[ENGINE] = VllmEngine.names
# A gateway of the tests' own load sheds nothing.
_MAX_IN_FLIGHT = 200
_GONE_WITHIN_S = 20.0


class Site:
    """Store, agent, one vLLM and a gateway, in the order in which facts flow.

    Its steps last as long as the demo's, so that a caller can leave in the midst of a request
    however fast the machine.

    Args:
        work_dir: holds everything of this run.
        cli: the program `vllm`.
        options: options of `vllm serve` beside the demo's.
        environment: variables of the server.
        native_tracing: whether vLLM sends spans of its own to our receiver.

    Attributes:
        url: vLLM's own base URL.
    """

    def __init__(
        self,
        work_dir: Path,
        cli: Path,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        native_tracing: bool = False,
    ) -> None:
        engine = VllmEngine(cli, work_dir / "model")
        self.stack = Stack(work_dir, engine, max_in_flight=_MAX_IN_FLIGHT)
        self.journal_dir = Path(self.stack.journal_dir)
        self.url = ""
        self._options = ["--worker-cls", WORKER_CLS, *options]
        self._environment = dict(environment or {})
        self._native_tracing = native_tracing
        self._processes: list[psutil.Process] = []

    def start(self) -> None:
        """Start everything and wait until it serves."""
        otlp = self.stack.start_up()
        self.stack.start_agent()
        if self._native_tracing:
            self._trace_to(otlp)
        environment = {**self.stack.environment, **self._environment}
        server = self.stack.engines.start(ENGINE, self._options, self.stack.log_dir, environment)
        self.stack.children[ENGINE] = server
        self.url = server.ready()["url"]
        self._processes = psutil.Process(server.process.pid).children(recursive=True)
        self.stack.start_gateway([f"{ENGINE}={self.url}"], otlp)

    def _trace_to(self, otlp: str) -> None:
        run = read(self.stack.data_dir)
        assert run is not None
        self._options += ["--otlp-traces-endpoint", f"{otlp}/v1/traces"]
        self._environment |= {
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"authorization=Bearer%20{run.token}",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }

    def engine_cores(self) -> list[psutil.Process]:
        """The processes of the engine core, one per data-parallel rank."""
        return [p for p in self._processes if "EngineCore" in " ".join(p.cmdline())]

    def stop_server(self) -> None:
        """Stop gateway and engine; the journals are closed."""
        self.stack.stop("gateway", ENGINE)
        _end(self._processes)

    def stop(self) -> None:
        """Stop everything, and leave no process of vLLM behind."""
        try:
            self.stack.stop()
        finally:
            _end(self._processes)


def _end(processes: Sequence[psutil.Process]) -> None:
    """Wait for the processes; kill what stays."""
    _, alive = psutil.wait_procs(processes, timeout=_GONE_WITHIN_S)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=_GONE_WITHIN_S)
