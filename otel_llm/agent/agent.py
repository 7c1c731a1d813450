"""The agent's loop: read and join, then make what came of it safe in one transaction."""

import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from otel_llm.agent.batches import make_batches, weight
from otel_llm.agent.checkpoint import (
    Saved,
    forget,
    load_or_begin_anew,
    save,
    save_halves,
    save_ring,
)
from otel_llm.agent.database import Database
from otel_llm.agent.delivery import Delivery, Sink
from otel_llm.agent.device_join import DeviceJoin
from otel_llm.agent.energy.energy import Energy
from otel_llm.agent.energy.registry import Host
from otel_llm.agent.energy.settings import peaks_of
from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.join import Limits
from otel_llm.agent.journals import Journals
from otel_llm.agent.kernel_late import LateKeeping, Thresholds
from otel_llm.agent.kernel_ring import Keeping
from otel_llm.agent.kernel_rings import KernelRings
from otel_llm.agent.loss_log import LossLog
from otel_llm.agent.metrics import AgentMetrics, instance_of
from otel_llm.agent.open_view import View, open_view
from otel_llm.agent.pairing import Pairing, pair_key
from otel_llm.agent.spool import Batch, Spool
from otel_llm.clock import Clock
from otel_llm.devices.sampler import Sampler
from otel_llm.facts.joined import Joined, by_kind
from otel_llm.identity import detect
from otel_llm.journal.writer import time_namespace
from otel_llm.settings import Settings

MAX_PENDING = 50_000
"""Rows' worth of facts held in memory. Past it they are saved at once, and until they are, the
journals are left unread: their rings hold two minutes and count what they overwrite."""
RETRY_STATE_S = 2.0
SAMPLER_STOP_S = 1.0

_log = logging.getLogger("otel_llm.agent")


class Agent:
    """Reads the journals of one directory and hands what it joins to the sinks.

    Args:
        settings: all settings.
        database: checkpoint and spool.
        sinks: who gets rows and spans.
        clock: the machine's.
        boot_id: this host's boot.
        sampler: reads the devices; started and stopped here.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sinks: Sequence[Sink],
        clock: Clock,
        boot_id: str,
        sampler: Sampler,
    ) -> None:
        self._sampler = sampler
        self._devices = DeviceJoin(socket.gethostname(), boot_id, detect())
        self._database = database
        self._clock = clock
        self._boot_id = boot_id
        self._poll_s = settings.poll_interval_s
        self._save_every_ns = round(settings.batch_interval_s * 1e9)
        self._next_save_ns = 0
        self._pending: list[Joined] = []
        self._pending_weight = 0
        self._state_fails = False
        # Held while facts are joined, so that the page sees whole states.
        self._lock = threading.Lock()
        self.metrics = AgentMetrics(clock, boot_id)
        self._losses = LossLog(clock)
        saved = load_or_begin_anew(database)
        self._spool = Spool(database, settings.spool_bytes)
        self._journals = Journals(
            Path(settings.journal_dir),
            Limits(
                settings.max_open_requests,
                settings.trace_ratio,
                settings.step_span_ratio,
                settings.span_link_limit,
            ),
            settings.dead_journal_keep_s,
            clock,
            saved.journals,
        )
        self._rings = KernelRings(
            Path(settings.journal_dir),
            Keeping(settings.keep_kernels_every, settings.step_span_ratio),
            settings.dead_journal_keep_s,
            clock,
            saved.rings,
        )
        self._late = LateKeeping(Thresholds.of(settings))
        self._pairing = self._restored(saved, settings.max_open_requests)
        here = Host(socket.gethostname(), boot_id, time_namespace())
        wait_ns = round(settings.energy_kernel_wait_s * 1e9)
        self._energy = Energy(here, settings.max_open_requests, peaks_of(settings), wait_ns)
        self._energy.restore(saved.halves, clock.anchor())
        self._deliveries = [Delivery(sink, self._spool, self.metrics) for sink in sinks]

    def serve(self, stop: threading.Event) -> None:
        """Run until told to stop, then read and save once more."""
        for delivery in self._deliveries:
            delivery.start()
        self._sampler.start()
        while not stop.is_set():
            if not self.cycle():
                stop.wait(self._poll_s)
        self._sampler.stop(SAMPLER_STOP_S)
        self.cycle()
        self._take_devices(last=True)
        self._hold(self._energy.flush())
        self.save()

    def stop(self, timeout_s: float) -> None:
        """End deliveries, waiting at most `timeout_s` seconds, and let go of the journals."""
        deadline = time.monotonic() + timeout_s
        for delivery in self._deliveries:
            delivery.stop()
        for delivery in self._deliveries:
            delivery.join(max(0.0, deadline - time.monotonic()))
        self._journals.close()
        self._rings.close()

    def cycle(self) -> bool:
        """Read every journal once, and save if it is time.

        Returns:
            Whether there is more to read at once.
        """
        more = False
        if self._pending_weight < MAX_PENDING:
            self._take_devices()
            with self._lock:
                more = self._read()
        full = self._pending_weight >= MAX_PENDING and not self._state_fails
        if full or self._clock.monotonic_ns() >= self._next_save_ns:
            self.save()
        self._losses.report()
        self.metrics.show(self._journals.followed, self._spool.sizes)
        self.metrics.devices.show(self._sampler.feeds)
        self.metrics.kernels.show(self._rings.reports)
        return more and not self._state_fails

    def save(self) -> None:
        """Write batches, cursors and open facts in one transaction, and wake the deliveries."""
        now_ns = self._clock.monotonic_ns()
        journals, forgotten = self._journals.checkpoint()
        rings, forgotten_rings = self._rings.checkpoint()
        batches, unmade = make_batches(self._pending, self._boot_id)
        try:
            with self._database.transaction() as connection:
                for journal, changes in journals:
                    save(connection, journal, changes)
                for name, ring_changes in rings:
                    save_ring(connection, name, ring_changes)
                for name in forgotten | forgotten_rings:
                    forget(connection, name)
                save_halves(connection, [*self._pairing.changes(), *self._energy.changes()])
                put_out, change = self._spool.add(connection, batches)
        except sqlite3.Error as error:
            self._note_state_failure(error)
            self._next_save_ns = now_ns + round(RETRY_STATE_S * 1e9)
            return
        self._note_saved(batches, put_out)
        self._note_unmade(unmade)
        self._spool.resize(change)
        self.metrics.forget(forgotten)
        self._energy.forget(instance_of(name) for name in forgotten)
        self._next_save_ns = now_ns + self._save_every_ns

    def open_view(self) -> View:
        """What is in flight now; called from the page's threads."""
        with self._lock:
            return open_view(self._journals.followed, self._clock.monotonic_ns())

    def _read(self) -> bool:
        read_ns = self._clock.monotonic_ns()
        self.metrics.malformed("journal", self._journals.discover())
        self._pair(self._journals.take_gone())
        more = False
        for journal in self._journals.followed:
            reading = journal.read(self._clock.anchor().wall_ns)
            self.metrics.read(journal, reading)
            self._losses.note(journal.name, reading.lost)
            if any(reading.lost.values()):
                self._energy.damaged(journal.producer, read_ns)
            self._pair(reading.facts)
            more = more or reading.more
            if self._pending_weight >= MAX_PENDING:
                break
        else:
            more = self._read_rings() or more
        whole = not more and self._pending_weight < MAX_PENDING
        if whole:
            self._charge(self._pairing.expire(self._clock.monotonic_ns(), self._open_pairs))
        self._hold(self._energy.close(read_ns, self._joins(), whole=whole))
        self.metrics.energy_lost(self._energy)
        return more

    def _read_rings(self) -> bool:
        """Read every kernel ring once. Whether there is more to read at once."""
        more = False
        self.metrics.malformed("journal", self._rings.discover())
        for ring in self._rings.followed:
            reading = ring.read(self._clock.anchor().wall_ns)
            self.metrics.read_ring(reading)
            self._losses.note(ring.name, reading.lost)
            self._charge([*reading.facts, *self._rings.keep_early()])
            more = more or reading.more
            if self._pending_weight >= MAX_PENDING:
                break
        return more

    def _pair(self, facts: Sequence[Joined]) -> None:
        self._charge(self._pairing.take(facts, self._clock.monotonic_ns()))

    def _charge(self, facts: Sequence[Joined]) -> None:
        self._hold(self._energy.joined(facts))

    def _joins(self) -> dict[str, EngineJoin]:
        return {
            journal.producer.instance_id: journal.join
            for journal in self._journals.followed
            if isinstance(journal.join, EngineJoin)
        }

    def _open_pairs(self) -> set[str]:
        return {
            pair_key(request.arrived.frontend, request.arrived.request_id)
            for journal in self._journals.followed
            if isinstance(journal.join, EngineJoin)
            for request in journal.join.requests
            if request.arrived is not None and request.arrived.frontend
        }

    def _take_devices(self, *, last: bool = False) -> None:
        self._sampler.prefer(self._journals.devices)
        taken = self._sampler.take(last=last)
        self.metrics.devices.taken(taken)
        self._energy.let_go(taken.taken_over)
        self._energy.sampled(taken.samples, taken.events)
        self._energy.let_go(each.id for each in taken.elsewhere)
        self._losses.note("devices", {"samples_dropped": taken.dropped})
        facts = self._devices.joined(taken)
        self._pending += facts
        self._pending_weight += len(facts)

    def _hold(self, facts: Sequence[Joined]) -> None:
        kinds = by_kind(facts)
        self.metrics.joined(kinds)
        self._losses.note("halves of requests", self.metrics.paired(self._pairing))
        wanted = self._late.take(kinds, self._clock.monotonic_ns())
        kept = self._rings.keep(wanted)
        self.metrics.kernels.left_out(self._late)
        self._pending += [*facts, *kept]
        self._pending_weight += weight(kinds) + weight(by_kind(kept))

    def _note_saved(self, batches: Sequence[Batch], put_out: int) -> None:
        with self._lock:
            self._journals.saved()
            self._rings.saved()
            self._pairing.saved()
            self._energy.saved()
        self._pending.clear()
        self._pending_weight = 0
        self.metrics.lost("spool_full", put_out)
        self._losses.note(self._database.path.name, {"spool_full": put_out})
        if self._state_fails:
            _log.info("%s is written again", self._database.path)
        self._state_fails = False
        if batches:
            for delivery in self._deliveries:
                delivery.wake()

    def _note_unmade(self, unmade: Mapping[str, int]) -> None:
        self.metrics.lost("unencodable", sum(unmade.values()))
        for name, count in unmade.items():
            self._losses.note(name, {"unencodable": count})

    def _restored(self, saved: Saved, most: int) -> Pairing:
        pairing = Pairing(most)
        try:
            pairing.restore(saved.halves)
        except msgspec.MsgspecError as error:
            _log.error("halves of requests are damaged and lost (%s)", error)
            self.metrics.lost("undecodable", len(saved.halves))
            return Pairing(most)
        return pairing

    def _note_state_failure(self, error: sqlite3.Error) -> None:
        self.metrics.state_failed()
        if not self._state_fails:
            _log.error(
                "%s cannot be written (%s). Facts are held in memory, then left in the journals; "
                "make room on its disk",
                self._database.path,
                error,
            )
        self._state_fails = True
