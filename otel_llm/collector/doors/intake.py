"""The core behind both doors: bounds, checks, and the spool. It knows no HTTP and no gRPC."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import anyio
from anyio.to_thread import run_sync

from otel_llm.collector.decoder import (
    Checked,
    MalformedError,
    OversizeError,
    Signal,
    Window,
    check,
    from_json,
)
from otel_llm.collector.doors.refusal import REASONS, REJECTIONS, Refusal
from otel_llm.collector.doors.turns import Turns
from otel_llm.collector.spool import Entry, Spool, entry_of
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.interface.body import (
    EncodingError,
    TooLargeError,
    decompress,
)

_WORKERS = 2
"""Bodies decompressed and checked at once. What a body becomes is known only then, so the memory
for it is bounded by their number, beside what is held."""

_HELD = 4
"""Bodies in memory take this many times the largest body, all together."""

_EXPANSION = 4
"""A request's rows may take this many times the largest body: they repeat their resource."""


class Body(NamedTuple):
    """A request as it came.

    Attributes:
        signal: `traces`, `logs` or `metrics`.
        raw: its bytes.
        encoding: `gzip`, `zstd`, … or empty.
        is_json: OTLP/JSON, else protobuf.
    """

    signal: Signal
    raw: bytes
    encoding: str = ""
    is_json: bool = False


class Taken(NamedTuple):
    """A request that is on disk.

    Attributes:
        rejected: items of it that are not kept.
        message: why not; empty if all are.
    """

    rejected: int = 0
    message: str = ""


class Hold:
    """What one request takes of the memory for bodies."""

    def __init__(self, intake: "Intake") -> None:
        self._intake = intake
        self.size = 0

    def add(self, size: int) -> None:
        """Take `size` bytes more.

        Raises:
            Refusal: the body is too large, or all bodies together are.
        """
        if self.size + size > self._intake.body_bytes:
            raise self._intake.oversize()
        self.grow(size)

    def grow(self, size: int) -> None:
        """Take `size` bytes more, whatever the body's own: what it became.

        Raises:
            Refusal: all bodies together are too large.
        """
        self.size += size
        self._intake.held += size
        if self._intake.held > self._intake.body_bytes * _HELD:
            raise Refusal("busy", "Too much is being received just now")

    def release(self) -> None:
        """Give it back."""
        self._intake.held -= self.size


class Intake:
    """Takes requests into the spool, within bounds, and counts.

    Args:
        spool: where they go.
        body_bytes: largest body, as it comes, decompressed, and in protobuf.
        window: gives the times that are taken now, of a signal.

    Attributes:
        accepted: by signal: `requests`, `bytes` and `items` spooled.
        rejected: items of spooled requests that are not kept, by signal and reason.
        refused: requests refused, by reason.
        held: bytes of the bodies in memory.
        body_bytes: largest body.
    """

    def __init__(self, spool: Spool, body_bytes: int, window: Callable[[Signal], Window]) -> None:
        self._spool, self._window = spool, window
        self._workers = anyio.CapacityLimiter(_WORKERS)
        self.body_bytes = body_bytes
        self.held = 0
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))

    @contextlib.contextmanager
    def hold(self) -> Iterator[Hold]:
        """Account for one body, for the length of the block."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            hold.release()

    @contextlib.asynccontextmanager
    async def turn(self, turns: Turns) -> AsyncIterator[None]:
        """Wait for a turn to read a body; for the length of the block.

        Raises:
            Refusal: the spool is full, the turn does not come, or the body does not.
        """
        if not self._spool.has_room(0):
            raise Refusal("busy", "The spool is full; the store does not keep up")
        async with turns.one():
            yield

    async def take(self, body: Body, hold: Hold) -> Taken:
        """Check a request and wait until it is on disk.

        Args:
            body: the request.
            hold: what it takes of the memory.

        Raises:
            Refusal: nothing of it is kept.
        """
        entry, rejected = await run_sync(self._prepare, body, limiter=self._workers)
        if entry.body is not body.raw:
            hold.grow(len(entry.body))
        if entry.items:
            await self._write(entry)
        counts = {"requests": 1, "bytes": len(entry.body), "items": entry.items}
        for name, number in counts.items():
            self.accepted[body.signal, name] += number
        for reason, number in rejected.items():
            self.rejected[body.signal, reason] += number
        return Taken(sum(rejected.values()), _said(rejected))

    def refuse(self, refusal: Refusal) -> None:
        """Count a refusal."""
        self.refused[refusal.reason] += 1

    def oversize(self) -> Refusal:
        """The refusal of a body that is too large."""
        message = f"The body is larger than {self.body_bytes} bytes; send smaller batches"
        return Refusal("oversize", message)

    def _prepare(self, body: Body) -> tuple[Entry, dict[str, int]]:
        """Decompress and check, in a thread. Gives the entry, and what of it is rejected."""
        window = self._window(body.signal)
        try:
            data = decompress(body.raw, body.encoding, self.body_bytes)
            if body.is_json:
                data = from_json(body.signal, data, self.body_bytes)
            checked = check(body.signal, data, window)
        except (TooLargeError, OversizeError):
            raise self.oversize() from None
        except EncodingError as error:
            raise Refusal("malformed", str(error)) from None
        except MalformedError as error:
            message = f"The body is not an OTLP {body.signal} request: {error}"
            raise Refusal("malformed", message) from None
        if checked.expanded > self.body_bytes * _EXPANSION:
            message = "The rows take too much memory with their resource; send smaller batches"
            raise Refusal("oversize", message)
        return entry_of(body.signal, data, checked, window), _rejected(checked)

    async def _write(self, entry: Entry) -> None:
        if not self._spool.has_room(entry.size):
            raise Refusal("busy", "The spool is full; the store does not keep up")
        try:
            await asyncio.wrap_future(self._spool.offer(entry))
        except (OSError, MemoryError, StoreError) as error:
            message = "The spool cannot be written just now"
            raise Refusal("spool_failed", message) from error


def _rejected(checked: Checked) -> dict[str, int]:
    """How many items are rejected, by reason.

    Raises:
        Refusal: no item is one.
    """
    invalid = checked.rejected - checked.outside
    if checked.items and invalid == checked.items:
        raise Refusal("malformed", f"All items: {REJECTIONS['invalid']}")
    return {"invalid": invalid, "outside": checked.outside}


def _said(rejected: dict[str, int]) -> str:
    """What a sender is told about rejected items; nothing if there are none."""
    return "; ".join(f"{n} left out: {REJECTIONS[reason]}" for reason, n in rejected.items() if n)
