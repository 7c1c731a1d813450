"""The agent over the journals of an engine's core and its API server."""

from typing import Any

import pyarrow as pa
import pytest

from otel_llm.journal.writer import Journal
from tests.agent.bench import Bench
from tests.agent.builders import arrived, at, delivered, done, finished, scheduled


class Engine:
    """A core and its API server, each with a journal."""

    def __init__(self, bench: Bench) -> None:
        self.core, self.frontend = bench.engine(), bench.frontend()
        self.frontend_id = instance_of(self.frontend)

    def run(self, index: int) -> None:
        """The core serves a request of the API server."""
        self.arrive(index)
        self.core.write(scheduled(index, 3, (index,)))
        self.core.write(done(index))
        self.core.write(finished(index, first_output_ns=None))

    def arrive(self, index: int) -> None:
        """The core takes in a request of the API server."""
        self.core.write(arrived(index, frontend=self.frontend_id))

    def deliver(self, index: int, **changes: object) -> None:
        """The API server lets go of it."""
        self.frontend.write(delivered(index, 0, **changes))


def instance_of(journal: Journal) -> str:
    """The instance id of a journal's writer."""
    return journal.producer.instance_id


@pytest.fixture
def engine(bench: Bench) -> Engine:
    """An engine in two processes."""
    return Engine(bench)


def rows(bench: Bench, table: str = "llm_requests") -> list[dict[str, Any]]:
    """Rows delivered, by request id."""
    found: list[dict[str, Any]] = []
    for batch in bench.rows.taken:
        if batch.target == table:
            found += pa.ipc.open_stream(batch.body).read_all().to_pylist()
    return found


def test_one_request_of_two_halves(bench: Bench, engine: Engine) -> None:
    """It becomes one row: the API server's times and outcome, the core's stamps and tokens."""
    engine.run(1)
    bench.turn()
    assert rows(bench) == []
    engine.deliver(1, finish_reason="length")
    bench.turn()
    [row] = rows(bench)
    assert row["finish_reason"] == "length"
    assert (row["output_tokens"], row["delivered_tokens"]) == (5, 3)
    assert (row["instance_id"], row["request_index"]) == (instance_of(engine.core), 1)
    assert row["first_output"].value - row["arrival"].value == at(10) - at(-0.5)
    assert not row["incomplete"]
    assert bench.spans.items == {"traces": 4}
