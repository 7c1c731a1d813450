"""All journals of a directory: found, followed, and removed some time after their end."""

import errno
import logging
from pathlib import Path

from otel_llm.agent.checkpoint import SavedJournal
from otel_llm.agent.decode import RECORDS
from otel_llm.agent.follow import FollowedJournal, end_without_file
from otel_llm.agent.join import Limits
from otel_llm.agent.open_facts import Change
from otel_llm.clock import Clock, EpochNs
from otel_llm.errors import JournalError
from otel_llm.facts.joined import Joined
from otel_llm.journal.directory import journal_name, scan
from otel_llm.journal.reader import JournalReader

_FOR_GOOD = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV})
"""A link, or a special file without anybody behind it: no journal, whatever is tried."""

_log = logging.getLogger("otel_llm.agent")


class Journals:
    """The journals of one directory.

    Args:
        directory: where they are.
        limits: settings of the joins.
        keep_s: how long a journal is kept after it was read out, in seconds.
        clock: the machine's.
        saved: what an earlier agent left, by file name.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits,
        keep_s: float,
        clock: Clock,
        saved: dict[str, SavedJournal],
    ) -> None:
        self._directory = directory
        self._limits = limits
        self._keep_ns = round(keep_s * 1e9)
        self._clock = clock
        self._followed: dict[str, FollowedJournal] = {}
        self._saved: dict[str, SavedJournal] = {}
        self._ended: dict[str, EpochNs] = {}
        self._forgotten: set[str] = set()
        self._unusable: set[tuple[str, int]] = set()
        self._late: set[str] = set()
        self._kept: set[str] = set()
        for name, journal in saved.items():
            if journal.state.ended_ns is None:
                self._saved[name] = journal
            else:
                self._ended[name] = journal.state.ended_ns

    @property
    def followed(self) -> list[FollowedJournal]:
        """Those being read."""
        return list(self._followed.values())

    @property
    def devices(self) -> set[str]:
        """UUIDs of devices and MIG instances that engines name whose journals are being read."""
        return {name for one in self._followed.values() for name in one.producer.devices}

    def discover(self) -> int:
        """Open new journals, and remove those whose time is over.

        Returns:
            How many files were found that are no journal; each is counted and logged once.
        """
        found = {path.name: path for path in scan(self._directory)}
        refused = sum(
            not self._open(path)
            for name, path in found.items()
            if name not in self._followed and name not in self._ended
        )
        self._remove(found)
        return refused

    def take_gone(self) -> list[Joined]:
        """Give what was open in saved journals whose files are gone."""
        present = {path.name for path in scan(self._directory)}
        facts: list[Joined] = []
        for name in [name for name in self._saved if name not in present]:
            facts += end_without_file(self._saved.pop(name), self._limits)
            self._forgotten.add(name)
        return facts

    def checkpoint(self) -> tuple[list[tuple[SavedJournal, list[Change]]], set[str]]:
        """What to save of each journal, and which to forget."""
        return [journal.checkpoint() for journal in self.followed], set(self._forgotten)

    def saved(self) -> None:
        """What `checkpoint` returned is safe."""
        self._forgotten.clear()
        for name, journal in list(self._followed.items()):
            journal.join.saved()
            if journal.ended_ns is not None:
                journal.reader.close()
                self._ended[name] = journal.ended_ns
                del self._followed[name]

    def close(self) -> None:
        """Let go of all files."""
        for journal in self.followed:
            journal.reader.close()
        self._followed.clear()

    def _open(self, path: Path) -> bool:
        """Follow a journal. False if the file is not one, the first time that is found."""
        saved = self._saved.get(path.name)
        try:
            inode = path.lstat().st_ino
            if (path.name, inode) in self._unusable:
                return True
            reader = JournalReader.open(path, saved.cursor if saved else None, RECORDS)
        except FileNotFoundError:
            return True
        except JournalError as error:
            cause = error.__cause__
            if isinstance(cause, FileNotFoundError):
                return True
            if isinstance(cause, OSError) and cause.errno not in _FOR_GOOD:
                return self._try_again(path.name, str(error))
            return self._refuse((path.name, inode), str(error))
        except OSError as error:
            return self._try_again(path.name, f"{path} cannot be read: {error.strerror}")
        if path.name != journal_name(reader.producer.kind, reader.producer.instance_id):
            reader.close()
            return self._refuse((path.name, inode), f"{path} holds another producer's journal")
        now = self._clock.anchor()
        self._followed[path.name] = FollowedJournal(reader, self._limits, now, saved)
        self._saved.pop(path.name, None)
        self._late.discard(path.name)
        return True

    def _try_again(self, name: str, why: str) -> bool:
        """What the machine refuses now, such as a descriptor too many, it may grant later."""
        if name not in self._late:
            self._late.add(name)
            _log.warning("not read yet, trying again: %s", why)
        return True

    def _refuse(self, file: tuple[str, int], why: str) -> bool:
        self._unusable.add(file)
        _log.warning("not read: %s", why)
        return False

    def _remove(self, found: dict[str, Path]) -> None:
        now_ns = self._clock.anchor().wall_ns
        for name, ended_ns in list(self._ended.items()):
            if name in found and now_ns - ended_ns < self._keep_ns:
                continue
            if self._unlinked(name):
                del self._ended[name]
                self._forgotten.add(name)

    def _unlinked(self, name: str) -> bool:
        """Remove a journal. False if that is not ours to do; then it stays known as read out."""
        try:
            (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            if name not in self._kept:
                self._kept.add(name)
                _log.warning("%s is read out and cannot be removed: %s", name, error.strerror)
            return False
        return True
