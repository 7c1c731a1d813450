"""A process that works on the GPU, with or without the shim, as it is told on its standard input.

Each line is a JSON object: `do` names a method of `Engine`, the rest are its arguments. The answer
is one line of JSON. It is started by `Started`, so that several of them take turns on one GPU.
"""

import functools
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu.work import Durations, FakeWork, TorchWork, Work, counts, demangled
from otel_llm.kernels import records
from otel_llm.kernels.control import Control, scan
from otel_llm.kernels.reader import KernelReader, rows
from otel_llm.kernels.shim_library import Shim


class Engine:
    """One process's work and shim.

    Args:
        work: what it does.
        shim: in this process; None for none.
    """

    def __init__(self, work: Work, shim: Shim | None) -> None:
        self._work = work
        self._shim = shim
        self._seq = 0

    def mode(self, mode: str, raw_every: int, budget: float) -> dict[str, Any]:
        """Order the shim; answers once it follows."""
        [path] = scan(_journals())
        with closing(Control(path)) as control:
            order = control.order(mode=mode, raw_every=raw_every, budget=budget)  # type: ignore[arg-type]
        while self._report().seq != order.seq:
            time.sleep(0.02)
        return self.report()

    def report(self) -> dict[str, Any]:
        """How the shim fares."""
        if self._shim is None:
            return {"state": "none"}
        report = self._report()
        return {
            "state": report.state,
            "reason": report.reason,
            "cupti": report.cupti_version,
            "cost": report.cost,
            "level": report.level,
            "counters": report.counters,
        }

    def run(self, kind: str, seconds: float) -> dict[str, float]:
        """Make steps for so long; how many, and how long they took."""
        self._work.sync()
        steps, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            self._step(kind)
            steps += 1
        self._work.sync()
        return {"steps": steps, "seconds": time.perf_counter() - began}

    def compare(self, kind: str, steps: int) -> dict[str, Any]:
        """Kernels of so many steps by the shim, and of as many by somebody else, by name."""
        if self._shim is None:
            message = "there is no shim to compare with"
            raise RuntimeError(message)
        first = self._seq + 1
        for _ in range(steps):
            self._step(kind)
        self._work.sync()
        self._shim.set_mode("dormant")  # lets go of CUPTI, and delivers what is complete
        ours = _from_ring(_journals() / self._report().ring, first, self._seq)
        theirs = self._work.profiled(kind, steps)
        return {"ours": ours, "theirs": theirs, "same": counts(ours) == counts(theirs)}

    def soak(self, kernels: int, seconds: float) -> dict[str, Any]:
        """Replay a graph of micro-kernels for so long; what the shim counted, and the memory."""
        replay = self._work.micro(kernels)
        self._work.sync()
        before, until = self.report()["counters"], 0
        free, resident = self._work.free_bytes(), _resident_bytes()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            self._seq += 1
            self._set_step(self._seq)
            replay()
            self._set_step(0)
            until += kernels
            self._work.sync()
        time.sleep(2)  # the last buffers
        after = self.report()["counters"]
        grown = {name: after[name] - before[name] for name in after}
        return {
            "launched": until,
            "counters": grown,
            "device_bytes_grown": free - self._work.free_bytes(),
            "host_bytes_grown": _resident_bytes() - resident,
        }

    def clock(self) -> dict[str, Any]:
        """CUPTI's clock less the wall's, as the shim's clock readings say, in nanoseconds."""
        with closing(KernelReader.open(_journals() / self._report().ring)) as ring:
            found = []
            while frames := ring.read():
                found += [f.payload.cast("q")[3] for f in frames if f.kind == records.ANCHOR]
        return {"readings": len(found), "furthest_ns": max(map(abs, found), default=0)}

    def describe(self) -> dict[str, Any]:
        """What the work is."""
        return self._work.describe()

    def _step(self, kind: str) -> None:
        self._seq += 1
        self._set_step(self._seq)
        self._work.step(kind)
        self._set_step(0)

    def _set_step(self, seq: int) -> None:
        if self._shim is not None:
            self._shim.set_step(seq)

    def _report(self) -> Any:  # noqa: ANN401  `Report`, where there is a shim
        assert self._shim is not None
        return self._shim.report()


def _from_ring(path: Path, first: int, last: int) -> Durations:
    """Durations of kernels of steps, by name, from a ring."""
    durations: Durations = defaultdict(list)
    shown = functools.cache(demangled)
    with closing(KernelReader.open(path)) as ring:
        while frames := ring.read():
            for frame in frames:
                for row in rows(frame) if frame.kind == records.RAW else ():
                    if first <= row["step"] <= last and row["kind"] == records.KERNEL:
                        name = shown(ring.names[int(row["name"])])
                        durations[name].append(int(row["duration_ns"]))
    return durations


def _resident_bytes() -> int:
    """Memory of this process that is no file's: neither a library's nor a ring's."""
    status = Path("/proc/self/status").read_text("utf-8")
    [resident] = (line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))
    return int(resident) * 1024


def _journals() -> Path:
    return Path(os.environ["OTEL_LLM_JOURNAL_DIR"])


class Kind(NamedTuple):
    """Which work.

    Attributes:
        work: `torch` or `fake`.
        size: of the model.
        batch: sequences.
    """

    work: str
    size: str
    batch: int


class Started:
    """An engine in a process of its own.

    Args:
        kind: its work.
        shim: mode that the shim starts with; empty for a process without it.
        environment: for it.
        folder: for its journals.
    """

    def __init__(self, kind: Kind, shim: str, environment: dict[str, str], folder: Path) -> None:
        folder.mkdir(parents=True)
        given = {"OTEL_LLM_JOURNAL_DIR": str(folder), "OTEL_LLM_KERNELS": shim or "off"}
        arguments = [kind.work, kind.size, str(kind.batch), shim]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu.engine", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment, **given},
            text=True,
        )
        try:
            self.ask("describe")
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **arguments: object) -> Any:  # noqa: ANN401  JSON
        """Let it do something.

        Raises:
            RuntimeError: it ended, or says why it could not.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            told = self._process.stdout.readline()
        except BrokenPipeError:
            told = ""
        answer = json.loads(told or '{"error": "the engine ended"}')
        if "error" in answer:
            message = f"{do}: {answer['error']}"
            raise RuntimeError(message)
        return answer

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended before
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def main() -> None:
    """Do what the standard input says, until it ends."""
    work, size, batch, mode = sys.argv[1:]
    shim = Shim() if mode else None  # before CUDA starts: kernels are instrumented when loaded
    engine = Engine(FakeWork() if work == "fake" else TorchWork(size, int(batch)), shim)
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(engine, asked.pop("do"))(**asked)
        except Exception as error:  # noqa: BLE001  the asker is told
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
