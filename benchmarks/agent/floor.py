"""What an agent in Python cannot do without, at the same load: a program that does that alone.

It reads the same journals at the same pace, frame by frame, and decodes each record. For each
second's steps it makes the blocks that an agent made of such a second, from columns that stand
ready, puts them into a spool, takes them out and posts them; and it renders the page. It joins
nothing, checks no field, counts nothing, charges nobody and keeps nothing open: a bound from
below.
"""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.agent.floor_work import Work, work_of
from benchmarks.agent.load import Load, load_of, parser
from otel_llm.agent.database import Database
from otel_llm.agent.decode import RECORDS
from otel_llm.agent.follow import RECORDS_PER_READ
from otel_llm.agent.run import collect_seldom
from otel_llm.agent.spool import SINKS, SinkName, Spool
from otel_llm.exporters.prometheus.page import encoder
from otel_llm.facts import StepScheduled
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.settings import Settings
from otel_llm.settings import load as load_settings

SCRAPE_EVERY_S = 10
PARTS = ("reading and decoding", "blocks", "spool", "sending", "scrapes")


class Floor:
    """Follows journals to their writers' end.

    Args:
        load: how much comes.
        work: what is made of a second.
        settings: name the directories of journals and of state.
        port: where to post, on this machine.
    """

    def __init__(self, load: Load, work: Work, settings: Settings, port: int) -> None:
        self._steps_per_s = load.engines * load.rate
        self._work = work
        self._directory = Path(settings.journal_dir)
        self._poll_s = settings.poll_interval_s
        self._readers: dict[str, JournalReader] = {}
        self._database = Database(Path(settings.state_dir))
        self._spool = Spool(self._database, settings.spool_bytes)
        self._page, _ = encoder(accept="")
        self._http = http.client.HTTPConnection("127.0.0.1", port)
        self._spent_ns: Counter[str] = Counter()
        self._steps = self._seconds = 0

    def follow(self) -> None:
        """Do all of it until every journal's writer is gone and all is read."""
        while True:
            with self._part("reading and decoding"):
                alive = [reader.is_alive() for reader in self._open()]
                more = self._read()
            while self._steps >= (self._seconds + 1) * self._steps_per_s:
                self._second()
            if alive and not any(alive) and not more:
                return
            if not more:
                time.sleep(self._poll_s)

    def close(self) -> None:
        """Let go of its files."""
        for reader in self._readers.values():
            reader.close()
        self._http.close()
        self._database.close()

    def told(self) -> dict[str, Any]:
        """Steps read, seconds of them made, records lost, and CPU seconds by part."""
        lost = [reader.lost for reader in self._readers.values()]
        return {
            "steps": self._steps,
            "seconds": self._seconds,
            "lost": sum(one.overwritten + one.corrupt + one.undecodable for one in lost),
            "parts_s": {part: self._spent_ns[part] / 1e9 for part in PARTS},
        }

    def _open(self) -> list[JournalReader]:
        for path in scan(self._directory):
            if path.name not in self._readers:
                self._readers[path.name] = JournalReader.open(path, decoders=RECORDS)
        return list(self._readers.values())

    def _read(self) -> bool:
        """Read each journal once; whether there may be more at once."""
        more = False
        for reader in self._readers.values():
            records = reader.read(RECORDS_PER_READ)
            self._steps += sum(type(record) is StepScheduled for record in records)
            more = more or len(records) >= RECORDS_PER_READ
        return more

    def _second(self) -> None:
        with self._part("blocks"):
            batches = self._work.batches()
        with self._part("spool"), self._database.transaction() as connection:
            _, change = self._spool.add(connection, batches)
        self._spool.resize(change)
        for sink in SINKS:
            while self._send_oldest(sink):
                pass
        if self._seconds % SCRAPE_EVERY_S == 0:
            with self._part("scrapes"):
                self._page(self._work.metrics)
        self._seconds += 1

    def _send_oldest(self, sink: SinkName) -> bool:
        """Post the oldest batch and take it out; whether there was one."""
        with self._part("spool"):
            batch = self._spool.oldest(sink)
        if batch is None:
            return False
        with self._part("sending"):
            self._http.request("POST", "/", batch.body)
            self._http.getresponse().read()
        with self._part("spool"):
            self._spool.remove(batch)
        return True

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        began = time.thread_time_ns()
        yield
        self._spent_ns[name] += time.thread_time_ns() - began


def main() -> None:
    """Say that it is ready, follow the load, and print what it took."""
    options = parser("python -m benchmarks.agent.floor", __doc__)
    options.add_argument("--port", type=int, required=True)
    told = options.parse_args()
    load = load_of(told)
    floor = Floor(load, work_of(load), load_settings(), told.port)
    collect_seldom()
    print("ready", flush=True)
    began = time.process_time()
    floor.follow()
    spent = time.process_time() - began
    print(json.dumps({**floor.told(), "cpu_s": spent}), flush=True)
    floor.close()


if __name__ == "__main__":
    main()
