"""The same runs through the agent itself: real journals, readings as a sampler hands them over.

The clock is the simulation's. What comes out is read back
from the store that the agent writes to.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from benchmarks.energy.pipeline import SHAPE, Answer, Readings
from benchmarks.energy.serve import Run
from otel_llm.agent.agent import Agent
from otel_llm.agent.database import Database
from otel_llm.agent.run import boot_id
from otel_llm.agent.spool import Batch, SinkName
from otel_llm.clock import MonotonicNs
from otel_llm.devices.sampler import Sampler
from otel_llm.devices.source import Reading
from otel_llm.energy.account import Amount, LedgerRow
from otel_llm.energy.models import Sharing
from otel_llm.energy.shape import DevicePeak
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.facts import RequestArrived, RequestFinished, StepDone, StepScheduled
from otel_llm.facts.device import Device, DeviceSample
from otel_llm.journal.records import Record
from otel_llm.journal.writer import open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock

NAME = "simulated GPU"
BEGIN = FakeClock().monotonic_ns()
TICK_NS = 100_000_000
_AMOUNT = """request_index, prefill_mj, decode_mj, error_mj, method, incomplete, sharing, busy,
    device_ns, window_ended_ns, window_mj"""
_LINE = f"""toUnixTimestamp64Nano(started) - clock_offset_ns - {BEGIN} AS started_ns,
    toUnixTimestamp64Nano(ended) - clock_offset_ns - {BEGIN} AS ended_ns, delta_mj, attributed_mj,
    idle_mj, unattributed_mj, method, sharing, error_mj, flags, busy"""
LAST_NS = 8_000_000_000
"""After the last step: the last windows close, and what comes late."""


class _Store:
    """A sink that writes into the store, as the agent's own does."""

    name: SinkName = "clickhouse"

    def __init__(self, client: Client) -> None:
        self._client = client

    def send(self, batch: Batch) -> int:
        """Write a batch."""
        insert_arrow_block(self._client, batch.target, batch.body, batch.token)
        return 0

    def close(self) -> None:
        """The store is closed by who opened it."""


class _Nobody:
    """A sink that drops spans."""

    name: SinkName = "otlp"

    def send(self, batch: Batch) -> int:
        """Drop a batch."""
        del batch
        return 0

    def close(self) -> None:
        """Nothing to let go of."""


class ThroughAgent:
    """The runs of a proof, through agents into one embedded store.

    Args:
        folder: an empty folder, on a disk.
    """

    def __init__(self, folder: Path) -> None:
        self._engine = Engine(folder)
        self._client = self._engine.client()
        schema.apply(self._client)
        self._runs = 0

    def close(self) -> None:
        """Close the store."""
        self._client.close()
        self._engine.close()

    def answer(self, run: Run, readings: Readings, sharing: Sharing, peak: DevicePeak) -> Answer:
        """Joules per request as read back from the store; `shapley` the agent does not know."""
        self._runs += 1
        device = Device(f"GPU-{self._runs}", "gpu", "nvml", NAME)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            settings = _settings(Path(folder), sharing, peak)
            _serve(run, readings, device, settings, _Store(self._client))
        return Answer(
            [_amount(row) for row in self._rows("llm_request_energy", _AMOUNT, device.id)],
            [LedgerRow(*row) for row in self._rows("gpu_energy_ledger", _LINE, device.id)],
        )

    def _rows(self, table: str, columns: str, device: str) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = self._client.query(
            f"SELECT {columns} FROM {table} WHERE device = {{device:String}} ORDER BY ALL",
            parameters={"device": device},
        ).result_rows
        return rows


def _settings(folder: Path, sharing: Sharing, peak: DevicePeak) -> Settings:
    fitted = folder / "coefficients.csv"
    values = ",".join(repr(one) for one in peak[:5])
    fitted.write_text(
        f"name,{','.join(DevicePeak._fields[:5])}\n{NAME},{values}\n", encoding="utf-8"
    )
    return Settings(
        journal_dir=str(folder / "journals"),
        state_dir=str(folder / "state"),
        trace_ratio=0.0,
        step_span_ratio=0.0,
        energy_sharing="tokens" if sharing == "tokens" else "work",
        energy_coefficients=str(fitted),
    )


def _serve(run: Run, readings: Readings, device: Device, settings: Settings, store: _Store) -> None:
    clock = FakeClock()
    database = Database(Path(settings.state_dir))
    sampler = Sampler((), clock, 0.1, 1.0)
    agent = Agent(settings, database, (store, _Nobody()), clock, boot_id(), sampler)
    journal = open_journal(
        kind="engine", service="svc", engine="reference", engine_version="1", model="llama",
        devices=[device.id], ranks=1, shape=SHAPE, settings=settings, clock=clock,
    )  # fmt: skip
    begin = clock.monotonic_ns()
    records, told = _records(run, begin), iter(readings)
    record, reading = next(records, None), next(told, None)
    last = begin + round(float(run.ends_s[-1]) * 1e9) + LAST_NS
    while clock.monotonic_ns() < last:
        clock.advance(TICK_NS)
        now = clock.monotonic_ns()
        while record is not None and record[0] <= now:
            journal.write(record[1])
            record = next(records, None)
        while reading is not None and begin + reading[0] <= now:
            sampler.hand_over(Reading([_sample(reading, device, begin, clock)]), full=False)
            reading = next(told, None)
        while agent.cycle():
            pass
    agent.save()
    for delivery in agent._deliveries:  # noqa: SLF001  run by hand, in this thread
        while delivery.deliver_one():
            pass
    journal.close()
    database.close()


def _sample(
    reading: tuple[int, float | None, float | None], device: Device, begin: int, clock: FakeClock
) -> DeviceSample:
    at_ns, energy, power = reading
    return DeviceSample(
        device=device,
        at_ns=MonotonicNs(begin + at_ns),
        anchor=clock.anchor(),
        energy_mj=None if energy is None else round(energy),
        power_mw=None if power is None else round(power),
    )


def _records(run: Run, begin: int) -> Iterator[tuple[int, Record]]:
    """Records by the time at which an engine would write them."""
    last = {
        int(number): place
        for place, batch in enumerate(run.batches)
        for number in batch.request.tolist()
    }
    seen: set[int] = set()
    for place, batch in enumerate(run.batches):
        start, end = (
            MonotonicNs(begin + round(float(one[place]) * 1e9))
            for one in (run.starts_s, run.ends_s)
        )
        members = [int(number) for number in batch.request.tolist()]
        for number in members:
            if number not in seen:
                seen.add(number)
                name = f"r{number}"
                yield start, RequestArrived(number + 1, name, name, "chat", "llama", start, 1)
        yield (
            start,
            StepScheduled(
                place + 1, start, [number + 1 for number in members],
                bytes(batch.decode.astype("u1").tolist()),
                [int(one) for one in batch.tokens.tolist()],
                [int(one) for one in batch.context.tolist()],
            ),
        )  # fmt: skip
        yield end, StepDone(place + 1, end, [])
        for number in members:
            if last[number] == place:
                yield end, RequestFinished(number + 1, "finished", "stop", end, output_tokens=1)


def _amount(row: Sequence[Any]) -> Amount:
    index, *energy, method, incomplete, sharing, busy, device_ns, ended_ns, window_mj = row
    return Amount(
        index - 1, *energy, method, len(ended_ns), incomplete, sharing, busy, device_ns, 0.0,
        [one - BEGIN for one in ended_ns], window_mj,
    )  # fmt: skip
