"""One agent of a host reads a device: it holds a lock, in a directory that all agents share.

The lock's file says whose the claim is, or was last, so that an agent that comes back knows whether
another has metered since. A second lock is held by an agent whose engines are on the device: who
meters it without any leaves it to that one.
"""

import logging
import os
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from otel_llm.clock import Clock
from otel_llm.devices.claim_log import Why, level, text
from otel_llm.devices.shared_lock import SharedLock
from otel_llm.facts.device import Device

AGAIN_NS = 5_000_000_000
"""How often a claim that another agent has is tried again, and one of ours is looked after."""

HANDOVER_NS = 2 * AGAIN_NS
"""An agent without engines on a device has left it to us by then; if not, we warn."""
SILENT_NS = 180_000_000_000
"""A device not read for so long is free for others. Longer than `device_interval_s` may be."""

_log = logging.getLogger("otel_llm.agent")


class Unclaimed:
    """All devices are ours: nobody else can read what is handed over by hand."""

    @property
    def elsewhere(self) -> Sequence[Device]:
        """Devices that are not read here, because another agent has the claim."""
        return ()

    @property
    def missed(self) -> Collection[str]:
        """Ids of those that should be: engines of ours are on them, or nobody can claim them."""
        return ()

    def take_over(self) -> Sequence[str]:
        """Ids of devices, since the last call, whose claim another agent had before us."""
        return ()

    def prefer(self, names: Collection[str]) -> None:
        """Engines of this agent are on these: UUIDs of devices or MIG instances."""

    def holds(self, device: Device, at_ns: int) -> bool:  # noqa: ARG002  all of them
        """Whether what was read of a device is this agent's to tell; claims it if it can.

        Args:
            device: which.
            at_ns: when it was read, in monotonic nanoseconds.
        """
        return True

    def release(self) -> None:
        """Let go of all claims, for good."""


class _Claim:
    """The locks of one device, and how we stand with them.

    Attributes:
        meter: whoever has it reads the device.
        engines: whoever has it has engines on the device.
        held: whether the device was ours when we last looked.
        since_ns: earlier readings are another agent's to tell, in monotonic nanoseconds.
        again_ns: when to look next.
        read_ns: when it was last read, in monotonic nanoseconds.
        asked_ns: since when our engines wait for another agent to leave it; None if they do not.
        refused: the device, while it is not ours.
        why: it is not.
    """

    def __init__(self, directory: Path, device_id: str, whose: str) -> None:
        name, text = quote(device_id, safe=""), f"{whose} pid {os.getpid()}"
        self.meter = SharedLock(directory / f"meter-{name}", text)
        self.engines = SharedLock(directory / f"engines-{name}", text)
        self.held = False
        self.since_ns = 0
        self.again_ns = 0
        self.read_ns = 0
        self.asked_ns: int | None = None
        self.refused: Device | None = None
        self.why: Why = ""

    def release(self) -> None:
        """Let go of both locks."""
        self.held, self.asked_ns = False, None
        self.meter.release()
        self.engines.release()


class Claims(Unclaimed):
    """Claims devices for this process, for as long as it lives. Any thread may ask.

    Args:
        directory: what all agents of the host share (setting `device_claim_dir`).
        state_dir: this agent's. Who goes on from it goes on with its meters.
        clock: the machine's.
    """

    def __init__(self, directory: Path, state_dir: Path, clock: Clock) -> None:
        self._directory = directory
        status = state_dir.stat()
        self._whose = f"{status.st_dev}:{status.st_ino}"
        self._clock = clock
        self._lock = threading.Lock()
        self._over = False
        self._claims: dict[str, _Claim] = {}
        self._preferred: Collection[str] = frozenset()
        self._parents: dict[str, str] = {}
        self._taken_over: list[str] = []

    @property
    def elsewhere(self) -> Sequence[Device]:
        """As `Unclaimed` says."""
        with self._lock:
            return [claim.refused for claim in self._claims.values() if claim.refused is not None]

    @property
    def missed(self) -> Collection[str]:
        """As `Unclaimed` says."""
        with self._lock:
            wanted = self._wanted()
            return {
                name for name, claim in self._claims.items()
                if claim.refused is not None and (name in wanted or claim.why == "unusable")
            }  # fmt: skip

    def take_over(self) -> Sequence[str]:
        """As `Unclaimed` says."""
        with self._lock:
            taken, self._taken_over = self._taken_over, []
            return taken

    def prefer(self, names: Collection[str]) -> None:
        """As `Unclaimed` says. Others hear of it within `AGAIN_NS`.

        To be called all the time: what must not wait for a reading is done here.
        """
        with self._lock:
            changed, self._preferred = names != self._preferred, names
            wanted, now_ns = self._wanted(), self._clock.monotonic_ns()
            for name, claim in self._claims.items():
                if changed:
                    claim.again_ns = 0
                if now_ns - claim.read_ns >= SILENT_NS:
                    claim.release()
                elif name not in wanted:
                    claim.engines.release()

    def holds(self, device: Device, at_ns: int) -> bool:
        """As `Unclaimed` says. A recording is none of this machine's devices: no claim."""
        if device.source == "replay":
            return True
        with self._lock:
            if device.mig:
                self._parents[device.mig] = device.id
            claim = self._claims.get(device.id)
            if claim is None:
                claim = _Claim(self._directory, device.id, self._whose)
                self._claims[device.id] = claim
            claim.read_ns = now_ns = self._clock.monotonic_ns()
            if not self._over and now_ns >= claim.again_ns:
                claim.again_ns = now_ns + AGAIN_NS
                self._look(device, claim, now_ns)
            return claim.held and at_ns >= claim.since_ns

    def release(self) -> None:
        """As `Unclaimed` says."""
        with self._lock:
            self._over = True
            for claim in self._claims.values():
                claim.release()

    def _wanted(self) -> set[str]:
        """Ids of devices that engines of ours are on."""
        return {self._parents.get(name, name) for name in self._preferred}

    def _look(self, device: Device, claim: _Claim, now_ns: int) -> None:
        """Claim a device, or leave it to an agent whose engines are on it while none of ours is."""
        wanted = device.id in self._wanted()
        if not wanted:
            claim.asked_ns = None
            claim.engines.release()
            if claim.engines.is_anothers():
                claim.meter.release()
                self._refuse(device, claim, "left")
                return
        try:
            fresh = not claim.meter.is_held
            claim.held = claim.meter.take()
        except OSError as error:
            claim.engines.release()  # we could not read it if it were left to us
            self._refuse(device, claim, "unusable", path=claim.meter.path, error=error.strerror)
            return
        if wanted:
            with suppress(OSError):
                claim.engines.take()
        if not claim.held:
            why = _elsewhere(claim, now_ns) if wanted else "spare"
            self._refuse(device, claim, why, pid=_pid(claim.meter.said))
        elif fresh:
            self._accept(device, claim, now_ns)

    def _accept(self, device: Device, claim: _Claim, now_ns: int) -> None:
        """The claim is ours since now."""
        if claim.meter.said.partition(" ")[0] not in ("", self._whose):
            claim.since_ns = now_ns
            self._taken_over.append(device.id)
        if claim.refused is not None:
            _log.log(level(claim.why), "%s is read by this agent from now on", device.id)
        claim.refused, claim.why, claim.asked_ns = None, "", None

    def _refuse(self, device: Device, claim: _Claim, why: Why, **what: object) -> None:
        if claim.why != why:
            _log.log(level(why), "%s %s", device.id, text(why, AGAIN_NS / 1e9, **what))
        claim.held, claim.refused, claim.why = False, device, why


def _elsewhere(claim: _Claim, now_ns: int) -> Why:
    """Whether another agent may still leave the device to engines of ours."""
    if claim.asked_ns is None:
        claim.asked_ns = now_ns
    return "asked" if now_ns - claim.asked_ns < HANDOVER_NS else "elsewhere"


def _pid(said: str) -> str:
    number = said.partition(" pid ")[2]
    return f"pid {number}" if number.isdecimal() else "pid unknown"
