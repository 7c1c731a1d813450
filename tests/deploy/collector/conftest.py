"""Demo traffic, recorded once, and tiers of real collectors before a store of their own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from otel_llm.demo.stack import Stack
from otel_llm.demo.workload import plan
from tests.deploy.collector.processes import AGENT, GATEWAY, Collector, Secrets, program
from tests.deploy.collector.traffic import RecordedStack, Recorder, Sent, rows
from tests.stack.harness import calls, replay, verdict


class Demo(NamedTuple):
    """What a demo sent, and what came of it on the direct way.

    Attributes:
        sent: its OTLP requests.
        spans: rows of otel_traces, sorted.
    """

    sent: list[Sent]
    spans: list[str]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo's traffic on the direct way: SDK and agent to our receiver to ClickHouse."""
    work = tmp_path_factory.mktemp("demo")
    with Recorder() as recorder:
        stack = RecordedStack(work, recorder)
        planned = calls(60, 15.0)
        try:
            stack.start(stack.engines.options(plan(60)))
            judged = verdict(stack, replay(stack, planned, lambda: None))
            assert judged.complete == judged.requests == 60, judged.problems
            spans = rows(stack.data_dir, "otel_traces")
        finally:
            stack.stop()
            recorder.shutdown()
    assert len(recorder.sent) > 10
    return Demo(recorder.sent, spans)


class Tiers:
    """An agent, gateways and a store, none of them started but the store.

    Attributes:
        store: the demo's store alone; `start_up` starts it again on its old ports.
        gateways: the gateway tier.
        agent: the agent tier.
    """

    def __init__(
        self, work: Path, files: Sequence[str], variables: dict[str, str], gateways: int
    ) -> None:
        program()  # before anything is started that would have to be stopped
        self.secrets = Secrets(work / "secrets")
        self.store = Stack(work / "store")
        self.store.start_up()
        self._variables = {**self.secrets.gateway, **self._clickhouse(), **variables}
        self.gateways = [
            Collector(f"gateway-{number}", files, work, self._variables)
            for number in range(gateways)
        ]
        names = [gateway.addresses["OTLP_GRPC_ENDPOINT"] for gateway in self.gateways]
        told = {**self.secrets.agent, "GATEWAYS": str(names).replace("'", '"')}
        self.agent = Collector("agent", AGENT, work, told)

    def _clickhouse(self) -> dict[str, str]:
        url = self.store.children["up"].ready()["clickhouse_url"]
        token = (self.store.data_dir / "token").read_text().strip()
        return {"CLICKHOUSE_ENDPOINT": url, "CLICKHOUSE_PASSWORD": token}

    @property
    def collectors(self) -> list[Collector]:
        """All of them, the last in the chain first."""
        return [*self.gateways, self.agent]

    @property
    def url(self) -> str:
        """Where senders send OTLP over HTTP."""
        return "http://" + self.agent.addresses["OTLP_HTTP_ENDPOINT"]

    @property
    def token(self) -> str:
        """The senders' token."""
        return self.secrets.sender["OTLP_TOKEN"]

    @property
    def data_dir(self) -> Path:
        """The store's data directory."""
        return self.store.data_dir

    def stop(self) -> None:
        """End everything, senders first."""
        for collector in reversed(self.collectors):
            collector.stop()
        self.store.stop()


MakeTiers = Callable[..., Tiers]


@pytest.fixture
def tiers(tmp_path: Path) -> Iterator[MakeTiers]:
    """Makes tiers and starts them; they end with the test."""
    with ExitStack() as ending:

        def make(files: Sequence[str] = GATEWAY, gateways: int = 1, **variables: str) -> Tiers:
            made = Tiers(tmp_path, files, variables, gateways)
            ending.callback(made.stop)
            for collector in made.collectors:
                collector.start()
            return made

        yield make
