"""The measurements. Each runs in this process, over the fake libcupti."""

import ctypes
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rounds import calls_per_round, mean_ns
from otel_llm.kernels import fake_cupti, records
from otel_llm.kernels.control import Control, scan
from otel_llm.kernels.reader import KernelReader, rows
from otel_llm.kernels.shim_library import Shim

BUFFER = 1 << 20
BUFFERS = 192
RING = 64 << 20
KERNELS_PER_STEP = 600
ROUNDS = 15
ROWS_AT_ONCE = 1024


class Bench:
    """A shim that is on, over the fake, and buffers of activity records for it.

    Args:
        folder: for the fake, and for the ring.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journals"
        os.environ |= {
            "OTEL_LLM_JOURNAL_DIR": str(self.folder),
            "OTEL_LLM_KERNELS": "on",
            "OTEL_LLM_KERNELS_BUDGET": "1",
            "OTEL_LLM_KERNELS_FLUSH_S": "10",
            "OTEL_LLM_KERNELS_RING_BYTES": str(RING),
            "OTEL_LLM_KERNELS_LIBCUPTI": str(fake_cupti.build(folder)),
            "FAKE_CUPTI_FIXTURE": str(fake_cupti.RECORDING),
        }
        self.fake = ctypes.CDLL(os.environ["OTEL_LLM_KERNELS_LIBCUPTI"])
        self.fake.fake_fill.restype = ctypes.c_size_t
        self.fake.fake_complete.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.shim = Shim()
        report = self.shim.report()
        assert report.state == "on", report
        [path] = scan(self.folder)
        self.control = Control(path)
        self.ring = self.folder / report.ring
        self.memory = ctypes.create_string_buffer(BUFFER * BUFFERS)

    def fill(self, per_launch: int) -> list[tuple[int, int, int]]:
        """Fill all buffers as an engine's steps would; address, bytes and records of each."""
        filled = []
        count, base, seen = ctypes.c_uint32(), ctypes.addressof(self.memory), 0
        launched: int = self.fake.fake_launch(2, 211, 0, 0)
        for address in range(base, base + BUFFER * BUFFERS, BUFFER):
            used = self.fake.fake_fill(
                ctypes.c_void_p(address), BUFFER, launched + 1, per_launch, ctypes.byref(count)
            )
            for number in range(0, count.value, per_launch):
                self.shim.set_step(1 + (seen + number) // KERNELS_PER_STEP)
                launched = self.fake.fake_launch(2, 211, 0, 0)
            seen += count.value
            filled.append((address, used, count.value))
        return filled

    def decode_ns(self, filled: list[tuple[int, int, int]]) -> float:
        """CPU time of decoding all buffers, and of writing what they add up to, per record."""
        complete = self.fake.fake_complete
        began = time.thread_time_ns()
        for address, used, _ in filled:
            complete(address, used)
        self.shim.flush()
        return (time.thread_time_ns() - began) / sum(count for _, _, count in filled)


@contextmanager
def bench() -> Iterator[Bench]:
    """A bench in a folder on tmpfs that goes away with it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        one = Bench(Path(folder))
        try:
            yield one
        finally:
            one.shim.stop()


def plain_ns(one: Bench, filled: list[tuple[int, int, int]], *, copy: bool) -> list[float]:
    """Nanoseconds per record of adding up the words of the same buffers: whoever decodes reads.

    Args:
        one: whose buffers.
        filled: what is in them.
        copy: copy a row per record to a file like the ring too, as whoever keeps raw rows must.
    """
    words = np.frombuffer(memoryview(one.memory), np.uint64)
    rows = np.ones(ROWS_AT_ONCE * records.RAW_BYTES // 8, np.uint64)
    file = np.memmap(one.folder.parent / "plain", np.uint64, "w+", shape=(RING // 8,))
    file[:] = 0
    count, at, taken = sum(each for _, _, each in filled), 0, []
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        words.sum()
        for _ in range(count // ROWS_AT_ONCE if copy else 0):
            file[at : at + len(rows)] = rows
            at = (at + len(rows)) % len(file)
        taken.append((time.thread_time_ns() - began) / count)
    return taken


def shim_ns(one: Bench, filled: list[tuple[int, int, int]], raw_every: int) -> list[float]:
    """Nanoseconds per record, round by round; cold if the buffers are larger than the caches."""
    orders = one.control.order(raw_every=raw_every)
    while one.shim.report().seq != orders.seq:
        time.sleep(0.05)
    before = one.shim.report().counters
    taken = [one.decode_ns(filled) for _ in range(ROUNDS)]
    after = one.shim.report().counters
    decoded = after["records"] - before["records"]
    assert decoded == ROUNDS * sum(count for _, _, count in filled)
    assert after["untagged"] == before["untagged"], "records without their launch"
    return taken


def reader_rate(one: Bench) -> list[float]:
    """Raw rows per second of CPU, read from a full ring, checked, and seen as arrays."""
    rates = []
    for _ in range(ROUNDS):
        reader, count, total = KernelReader.open(one.ring), 0, 0
        began = time.thread_time_ns()
        while frames := reader.read():
            for frame in frames:
                if frame.kind == records.RAW:
                    table = rows(frame)
                    count += len(table)
                    total += int(table["duration_ns"].sum())
        rates.append(count / (time.thread_time_ns() - began) * 1e9)
        assert total
        assert count > 1_000_000
        assert reader.lost.corrupt == 0
        reader.close()
    return rates


def set_step_us(one: Bench) -> list[float]:
    """Microseconds of one `set_step` from Python."""
    set_step = one.shim.set_step

    def call() -> None:
        set_step(12345)

    calls = calls_per_round(call)
    return [mean_ns(call, calls) / 1000 for _ in range(ROUNDS)]


def callback_ns(one: Bench) -> float:
    """What the shim itself says of one launch callback, in nanoseconds."""
    counters: dict[str, Any] = one.shim.report().counters
    return float(counters["callback_ns"] / counters["launches"])
