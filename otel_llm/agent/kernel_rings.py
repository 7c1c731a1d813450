"""All kernel rings of a directory: found, followed, and removed some time after their end."""

import logging
import re
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from otel_llm.agent.checkpoint import SavedFact
from otel_llm.agent.kernel_ring import FollowedRing, Keeping
from otel_llm.agent.kernel_state import RingState
from otel_llm.agent.open_facts import Change
from otel_llm.clock import Clock, EpochNs
from otel_llm.errors import JournalError
from otel_llm.facts.joined import Joined
from otel_llm.kernels.control import Control, Report, scan
from otel_llm.kernels.reader import KernelReader

MOST_EARLY = 1_024
"""Steps asked for of engines without a ring that are remembered: most such engines have none."""
_NAME = re.compile(r"kernels-([0-9a-f]{32})\.ring")

_log = logging.getLogger("otel_llm.agent")


def is_ring(name: str) -> bool:
    """Whether a file's name is that of a kernel ring."""
    return _NAME.fullmatch(name) is not None


class KernelRings:
    """The kernel rings of one directory.

    Args:
        directory: where they are.
        keeping: settings.
        keep_s: how long a ring is kept after it was read out, in seconds.
        clock: the machine's.
        saved: what an earlier agent left, by file name.
    """

    def __init__(
        self,
        directory: Path,
        keeping: Keeping,
        keep_s: float,
        clock: Clock,
        saved: dict[str, list[SavedFact]],
    ) -> None:
        self._directory = directory
        self._keeping = keeping
        self._keep_ns = round(keep_s * 1e9)
        self._clock = clock
        self._saved = dict(saved)
        self._followed: dict[str, FollowedRing] = {}
        self._ended: dict[str, EpochNs] = {}
        self._early: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._forgotten: set[str] = set()
        self._unusable: set[tuple[str, int]] = set()
        for name, facts in saved.items():
            ended_ns = _ended(facts)
            if ended_ns is not None:
                self._ended[name] = ended_ns
                del self._saved[name]

    @property
    def followed(self) -> list[FollowedRing]:
        """Those being read."""
        return list(self._followed.values())

    def discover(self) -> int:
        """Open new rings, and remove those whose time is over.

        Returns:
            How many files were found that are no ring; each is counted and logged once.
        """
        found = {path.name: path for path in self._scan()}
        refused = sum(
            not self._open(path)
            for name, path in found.items()
            if name not in self._followed and name not in self._ended
        )
        for name in [name for name in self._saved if name not in found]:
            del self._saved[name]  # the file is gone, and with it what was open in it
            self._forgotten.add(name)
        self._remove(found)
        return refused

    def keep(self, wanted: Iterable[tuple[str, int, str]]) -> list[Joined]:
        """Keep steps in detail: instance id of the engine, number of the step, why.

        Those of an engine of which no ring has told yet wait for one: `keep_early`.
        """
        by_engine: dict[str, list[FollowedRing]] = {}
        for ring in self._followed.values():
            by_engine.setdefault(ring.join.told.producer.instance_id, []).append(ring)
        facts: list[Joined] = []
        for instance_id, seq, why in wanted:
            if instance_id not in by_engine:
                self._early[instance_id, seq] = why
            for ring in by_engine.get(instance_id, ()):
                facts += ring.keep(seq, why)
        while len(self._early) > MOST_EARLY:
            self._early.popitem(last=False)
        return facts

    def keep_early(self) -> list[Joined]:
        """Keep the steps that were asked for before their engine's ring told of itself."""
        known = {ring.join.told.producer.instance_id for ring in self._followed.values()}
        ours = [(*key, why) for key, why in self._early.items() if key[0] in known]
        for instance_id, seq, _ in ours:
            del self._early[instance_id, seq]
        return self.keep(ours)

    def reports(self) -> dict[str, Report]:
        """How the shims that are alive fare, by the id in their files' names.

        Control files of dead ones that never had a ring are removed after the same time as rings;
        the others go with their rings.
        """
        reports = {}
        for path in scan(self._directory):
            with suppress(JournalError, FileNotFoundError):
                control = Control(path)
                alive = control.is_alive()
                report = control.report() if alive else None
                control.close()
                if report is not None:
                    reports[path.stem.partition("-")[2]] = report
                elif not alive and not path.with_suffix(".ring").exists():
                    self._remove_old(path)
        return reports

    def checkpoint(self) -> tuple[list[tuple[str, list[Change]]], set[str]]:
        """What to save of each ring, and which to forget."""
        return [(ring.name, ring.changes()) for ring in self.followed], set(self._forgotten)

    def saved(self) -> None:
        """What `checkpoint` returned is safe."""
        self._forgotten.clear()
        for name, ring in list(self._followed.items()):
            ring.join.saved()
            if ring.ended_ns is not None:
                ring.reader.close()
                self._ended[name] = ring.ended_ns
                del self._followed[name]

    def close(self) -> None:
        """Let go of all files."""
        for ring in self.followed:
            ring.reader.close()
        self._followed.clear()

    def _scan(self) -> list[Path]:
        try:
            return sorted(path for path in self._directory.iterdir() if is_ring(path.name))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _open(self, path: Path) -> bool:
        """Follow a ring. False if the file is not one, the first time that is found."""
        try:
            file = (path.name, path.lstat().st_ino)
            if file in self._unusable:
                return True
            reader = KernelReader.open(path)
        except FileNotFoundError:
            return True
        except (JournalError, OSError) as error:
            if isinstance(error.__cause__, OSError):
                return True  # tried again: a descriptor too many now may be had later
            return self._refuse(file, str(error))
        if path.name != f"kernels-{reader.producer.instance_id}.ring":
            reader.close()
            return self._refuse(file, f"{path} holds another shim's ring")
        saved = self._saved.pop(path.name, [])
        now = self._clock.anchor()
        self._followed[path.name] = FollowedRing(reader, self._keeping, now, saved)
        return True

    def _refuse(self, file: tuple[str, int], why: str) -> bool:
        self._unusable.add(file)
        _log.warning("not read: %s", why)
        return False

    def _remove_old(self, path: Path) -> None:
        """Remove a dead shim's control file; it was last written when the shim died."""
        if self._clock.anchor().wall_ns - path.stat().st_mtime_ns > self._keep_ns:
            with suppress(OSError):
                path.unlink()

    def _remove(self, found: dict[str, Path]) -> None:
        now_ns = self._clock.anchor().wall_ns
        for name, ended_ns in list(self._ended.items()):
            if name in found and now_ns - ended_ns < self._keep_ns:
                continue
            try:
                (self._directory / name).unlink(missing_ok=True)
                (self._directory / name).with_suffix(".control").unlink(missing_ok=True)
            except OSError as error:
                _log.debug("%s is read out and cannot be removed: %s", name, error.strerror)
                continue
            del self._ended[name]
            self._forgotten.add(name)


def _ended(facts: list[SavedFact]) -> EpochNs | None:
    """When a saved ring was read out; None if it was not, or its state is damaged."""
    for kind, _, body in facts:
        if kind == "ring":
            with suppress(msgspec.MsgspecError):
                return msgspec.msgpack.decode(body, type=RingState).ended_ns
    return None
