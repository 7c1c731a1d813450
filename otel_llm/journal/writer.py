"""The writing end of a journal, as hooks and gateways use it."""

import atexit
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from otel_llm.clock import SYSTEM_CLOCK, Clock
from otel_llm.errors import JournalError, OtelLLMError
from otel_llm.facts.identity import Identity
from otel_llm.facts.producer import Producer, ProducerKind
from otel_llm.facts.shape import ServedShape
from otel_llm.isolation import Guard
from otel_llm.journal import directory
from otel_llm.journal.layout import DROPPED, SWALLOWED
from otel_llm.journal.records import KIND_OF, Record
from otel_llm.journal.ring import Ring, create
from otel_llm.settings import Settings, load

ANCHOR_INTERVAL_NS = 1_000_000_000
"""Longest time between two clock anchors of a journal that is being written."""

MAX_DEVICES = 32
"""Most devices that a header names: it has room for a few kilobytes."""

_MAX_TEXT = 200
_MAX_DEVICE = 64
_BAD_DATA = (TypeError, ValueError, KeyError, OverflowError, RecursionError)


class Journal:
    """Writes records; thread-safe. Makes its file when opened, and another one after a fork.

    Args:
        producer: who writes.
        settings: where and how large.
        clock: source of the anchors.
        ring: the file; None makes a null journal, which takes records and keeps none.
    """

    def __init__(
        self, producer: Producer, settings: Settings, clock: Clock, ring: Ring | None
    ) -> None:
        self.producer = producer
        self._settings = settings
        self._clock = clock
        self._now = clock.monotonic_ns
        self._ring = ring
        self._encode = msgspec.msgpack.Encoder().encode
        # Reentrant, and watched by `_busy`: a finaliser or a signal handler may write in the middle
        # of a write of its own thread. That record is dropped; a plain lock would never return.
        self._lock = threading.RLock()
        self._busy = False
        self._forked = False
        self._next_anchor = 0

    def write(self, record: Record, now_ns: int | None = None) -> None:
        """Write one record. Bad data is counted as dropped, never raised.

        Args:
            record: the record. What cannot be encoded, or is longer than a quarter of the journal,
                is dropped.
            now_ns: the clock's present monotonic time if the caller has just read it, in
                nanoseconds; it decides when the next anchor is due.
        """
        lock = self._lock
        try:
            # Within the block, as a signal handler may raise right behind it. `with` costs more.
            lock.acquire()
            ring = self._ring or self._ring_after_fork()
            if ring is None:
                return
            if self._busy:
                ring.count(DROPPED)
                return
            self._busy = True
            try:
                if (now_ns or self._now()) >= self._next_anchor:
                    self._write_anchor(ring)
                ring.append(KIND_OF[type(record)], self._encode(record))
            except _BAD_DATA:
                ring.count(DROPPED)
            finally:
                self._busy = False
        finally:
            try:  # noqa: SIM105  `suppress` costs more
                lock.release()
            except RuntimeError:  # a handler raised while this thread waited for the lock
                pass

    @property
    def instance_id(self) -> str:
        """The id in the header of the file now written to; empty if there is none."""
        with self._lock:
            ring = self._ring or self._ring_after_fork()
            return "" if ring is None else self.producer.instance_id

    def count_swallowed(self) -> None:
        """Count an error that a hook kept from its host, in the journal's header."""
        with self._lock:
            ring = self._ring or self._ring_after_fork()
            if ring is not None:
                ring.count(SWALLOWED)

    def close(self) -> None:
        """Mark the journal as closed on purpose and release it. Later writes do nothing."""
        with self._lock:
            ring, self._ring, self._forked = self._ring, None, False
            if ring is not None:
                ring.close()
        _open.discard(self)

    def _write_anchor(self, ring: Ring) -> None:
        anchor = self._clock.anchor()
        self._next_anchor = anchor.mono_ns + ANCHOR_INTERVAL_NS
        ring.append(KIND_OF[type(anchor)], self._encode(anchor))

    def _after_fork_in_child(self) -> None:
        """Let go of the parent's journal, whatever the parent's threads were doing with it."""
        self._lock = threading.RLock()
        self._busy = False
        ring, self._ring = self._ring, None
        if ring is not None:
            self._forked = True
            ring.abandon()

    def _ring_after_fork(self) -> Ring | None:
        """Make the child's own journal, at its first record. None in a process that has none."""
        if not self._forked:
            return None
        self._forked = False
        self._next_anchor = 0
        self.producer = msgspec.structs.replace(self.producer, instance_id=os.urandom(16).hex())
        self._ring = _ring_or_none(self.producer, self._settings)
        return self._ring


def open_journal(
    *,
    kind: ProducerKind,
    service: str,
    engine: str,
    engine_version: str,
    model: str = "",
    dp_rank: int = 0,
    left_out: Sequence[str] = (),
    devices: Sequence[str] = (),
    ranks: int = 0,
    model_source: str = "",
    model_revision: str = "",
    shape: ServedShape | None = None,
    settings: Settings | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Journal:
    """Open a journal for this process. Never raises: without a file the journal is a null one.

    Args:
        kind: which layer writes.
        service: name of the deployment; the setting `service` comes first where it is set.
        engine: engine or gateway software.
        engine_version: its version.
        model: served model.
        dp_rank: data-parallel rank.
        left_out: hooks that are not in place, as `name: reason`.
        devices: UUIDs of an engine's devices on this node, by rank; at most `MAX_DEVICES`.
        ranks: workers that the engine has on devices, on all nodes.
        model_source: folder of the served model or its name on Hugging Face, for its version.
        model_revision: branch, tag or commit of it that was asked for.
        shape: of the served model; None if not known.
        settings: the process's settings if None.
        clock: clock of the anchors.
    """
    try:
        settings = load() if settings is None else settings
    except OtelLLMError as error:
        _warn(str(error))
        settings = Settings(enabled=False)
    producer = Producer(
        kind=kind,
        instance_id=os.urandom(16).hex(),
        boot_id=_boot_id(),
        time_namespace=time_namespace(),
        service=_text(settings.service or service),
        host=_text(os.uname().nodename),
        engine=_text(engine),
        engine_version=_text(engine_version),
        model=_text(model),
        dp_rank=dp_rank,
        left_out=[_text(one) for one in left_out],
        identity=_identity(settings, model_source, model_revision),
        devices=[_ascii(one) for one in devices[:MAX_DEVICES]],
        ranks=ranks,
        shape=shape,
    )
    journal = Journal(producer, settings, clock, _ring_or_none(producer, settings))
    _open.add(journal)
    return journal


def _identity(settings: Settings, source: str, revision: str) -> Identity:
    """Where this process runs; nothing where nobody records, or if it cannot be found out."""
    found = Identity()
    if settings.enabled:
        with Guard("identity.detect"):
            from otel_llm.identity import detect  # an engine pays for it when it opens a journal

            found = detect(settings.model_version, model_source=source, model_revision=revision)
    return found


def _ring_or_none(producer: Producer, settings: Settings) -> Ring | None:
    if not settings.enabled:
        return None
    with Guard("journal.open"):
        try:
            return _ring(producer, settings)
        except JournalError as error:
            _warn(str(error))
        except OSError as error:
            _warn(
                f"{settings.journal_bytes} bytes cannot be had in {settings.journal_dir} "
                f"({error.strerror}). Set OTEL_LLM_JOURNAL_DIR to a directory with room, on tmpfs, "
                "or OTEL_LLM_JOURNAL_BYTES to less"
            )
    return None


def _ring(producer: Producer, settings: Settings) -> Ring:
    handle = directory.ensure(Path(settings.journal_dir), settings)
    try:
        mode = 0o640 if settings.journal_group_readable else 0o600
        return create(handle, producer, settings.journal_bytes & ~4095, mode=mode)
    finally:
        os.close(handle)


def _warn(problem: str) -> None:
    import logging  # costs several milliseconds that a healthy engine need not pay

    logging.getLogger("otel_llm").warning(
        "No journal: %s. This process goes on without telemetry.", problem.rstrip(".")
    )


def _text(value: str) -> str:
    """Bound a description and make it encodable."""
    return str(value)[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def _ascii(device: str) -> str:
    """Bound a device's id in bytes: many of them share the header with all the rest."""
    return str(device)[:_MAX_DEVICE].encode("ascii", "replace").decode("ascii")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def time_namespace() -> int:
    """Inode of this process's time namespace; 0 if the kernel has none."""
    try:
        return Path("/proc/self/ns/time").stat().st_ino
    except OSError:
        return 0


# Strong references: a journal that nobody holds any more is closed in order at exit all the same.
_open: set[Journal] = set()


def _forget_in_child() -> None:
    for journal in list(_open):
        journal._after_fork_in_child()  # noqa: SLF001  the journal's other half


def _close_all() -> None:
    for journal in list(_open):
        journal.close()


os.register_at_fork(after_in_child=_forget_in_child)
atexit.register(_close_all)
