"""Real collectors with the files of `deploy/collector`, told apart by their variables alone."""

import json
import os
import re
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import trustme

from otel_llm.demo.child import Child

CONFIG = Path(__file__).parents[3] / "deploy" / "collector"
AGENT = ("agent.yaml",)
GATEWAY = ("gateway.yaml",)
SAMPLING = ("gateway.yaml", "gateway-sampling.yaml")


def program() -> str:
    """The collector that `make test-collector` built."""
    return os.environ["OTELCOL"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Process(Child):
    """A process that is ready when its health page says so."""

    def __init__(self, health: str, *given: Any) -> None:  # noqa: ANN401
        self._health = health
        super().__init__(*given)

    def _told(self) -> dict[str, Any] | None:
        try:
            answer = httpx.get(f"http://{self._health}/", trust_env=False)
        except httpx.TransportError:
            return None
        return {} if answer.status_code == 200 else None


class Collector:
    """One collector that can be stopped, killed and started again where it was.

    Args:
        name: of its directory and log.
        files: configuration files of `deploy/collector`, in order.
        work: where its queue and log are.
        variables: what it is told beside its addresses.
    """

    def __init__(
        self, name: str, files: Sequence[str], work: Path, variables: Mapping[str, str]
    ) -> None:
        self.name, self._work = name, work / name
        self._work.mkdir(parents=True)
        (self._work / "targets").mkdir()
        names = ("OTLP_GRPC_ENDPOINT", "OTLP_HTTP_ENDPOINT", "HEALTH_ENDPOINT")
        self.addresses = {each: f"127.0.0.1:{free_port()}" for each in names}
        self.metrics_port = free_port()
        self._variables = {
            **self.addresses,
            "METRICS_PORT": str(self.metrics_port),
            "QUEUE_DIR": str(self._work / "queue"),
            "TARGETS_DIR": str(self._work / "targets"),
            **variables,
        }
        self._command = [program()]
        for file in files:
            self._command += ["--config", str(CONFIG / file)]
        self.child: Child | None = None

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        given = (self.name, self._command, self._work, self._variables)
        self.child = _Process(self.addresses["HEALTH_ENDPOINT"], *given)
        self.child.ready()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait."""
        if self.child is not None:
            self.child.stop(how)
            self.child = None

    def scrape(self, kind: str, target: str) -> None:
        """Let it scrape a page.

        Args:
            kind: engines, agent or envoy.
            target: host and port.
        """
        file = self._work / "targets" / f"{kind}.yaml"
        file.write_text(json.dumps([{"targets": [target]}]))

    def counted(self, name: str) -> float:
        """The sum of one of its own counters, whose name may have a suffix; 0 before it counts."""
        page = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", trust_env=False).text
        values = re.findall(rf"^{name}(?:_\w+)?{{.*}} (\S+)$", page, re.MULTILINE)
        return sum(map(float, values))


class Secrets:
    """Tokens and certificates of a test's tiers.

    Args:
        directory: where the certificates are written.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(str(directory / "key.pem"))
        for number, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(str(directory / "cert.pem"), append=number > 0)
        self.sender = {"OTLP_TOKEN": "node-token"}
        self.agent = {
            **self.sender,
            "GATEWAY_TOKEN": "tier-token",
            "GATEWAY_CA_FILE": str(directory / "ca.pem"),
        }
        self.gateway = {
            "GATEWAY_TOKEN": "tier-token",
            "TLS_CERT_FILE": str(directory / "cert.pem"),
            "TLS_KEY_FILE": str(directory / "key.pem"),
        }
