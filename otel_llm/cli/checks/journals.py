"""The journal directory, and the journals in it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from otel_llm.cli.checks.finding import Finding
from otel_llm.errors import JournalError
from otel_llm.settings import Settings

if TYPE_CHECKING:
    from otel_llm.facts.producer import Producer
    from otel_llm.journal.reader import WriterCounters

_AREA = "journals"


def check(settings: Settings) -> Iterator[Finding]:
    """Look at the directory, its file system and every journal in it. Makes and mends nothing."""
    directory = Path(settings.journal_dir)
    yield from _directory(directory)
    yield _space(directory, settings.journal_bytes)
    yield from _journals(directory)


def _directory(directory: Path) -> Iterator[Finding]:
    try:
        status = directory.lstat()
    except FileNotFoundError:
        detail = f"{directory} is not there yet; the first engine makes it"
        yield Finding(_AREA, "directory", "off", detail, "otel-llm run -- COMMAND")
        return
    problem = _unfit(directory, status)
    mode = f"mode {stat.S_IMODE(status.st_mode):04o}, user {status.st_uid}"
    if problem:
        yield Finding(
            _AREA, "directory", "problem", f"{directory} ({mode}): {problem[0]}", problem[1]
        )
    else:
        yield Finding(_AREA, "directory", "ok", f"{directory} ({mode})")


def _unfit(directory: Path, status: os.stat_result) -> tuple[str, str] | None:
    elsewhere = "set OTEL_LLM_JOURNAL_DIR to a directory of your own"
    if not stat.S_ISDIR(status.st_mode):
        return "not a directory", elsewhere
    if status.st_uid != os.geteuid():
        return f"belongs to another user than you ({os.geteuid()})", elsewhere
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it", f"chmod go-w {directory}"
    return None


def _space(directory: Path, journal_bytes: int) -> Finding:
    existing = next(place for place in (directory, *directory.parents) if place.is_dir())
    space = os.statvfs(existing)
    room = space.f_bavail * space.f_frsize // journal_bytes
    kind = file_system(existing)
    detail = f"{kind}, room for {room:,} more journals of {journal_bytes >> 20} MiB"
    if room < 1:
        remedy = "free some space, or set a smaller OTEL_LLM_JOURNAL_BYTES"
        return Finding(_AREA, "space", "problem", detail, remedy)
    if kind != "tmpfs":
        remedy = "set OTEL_LLM_JOURNAL_DIR to a directory on tmpfs: writes to a disk may stall"
        return Finding(_AREA, "space", "warning", detail, remedy)
    return Finding(_AREA, "space", "ok", detail)


def file_system(path: Path) -> str:
    """The type of the file system a path is on, as in `/proc/self/mounts`."""
    found = ("", "unknown file system")
    for line in (
        Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    ):
        _, mounted, kind, *_ = line.split(" ")
        # A mount point's blanks are written as octal escapes.
        mounted = mounted.encode().decode("unicode_escape")
        if path.resolve().is_relative_to(mounted) and len(mounted) >= len(found[0]):
            found = (mounted, kind)
    return found[1]


def _journals(directory: Path) -> Iterator[Finding]:
    from otel_llm.journal.directory import scan

    paths = scan(directory)
    if not paths:
        yield Finding(
            _AREA,
            "journals",
            "off",
            "none: no engine or gateway writes here",
            "otel-llm run -- COMMAND",
        )
    for path in paths:
        yield from _journal(path)


def _journal(path: Path) -> Iterator[Finding]:
    from otel_llm.journal.reader import JournalReader

    what = path.stem[:24]
    try:
        reader = JournalReader.open(path)
    except (JournalError, OSError) as error:
        yield Finding(_AREA, what, "warning", str(error), f"rm {path}")
        return
    try:
        producer, counters, alive = reader.producer, reader.counters, reader.is_alive()
    finally:
        reader.close()
    yield _state(what, producer, counters, alive=alive)
    if alive and producer.ranks:
        yield _devices(what, producer)
    for hook in producer.left_out if alive else ():
        detail = f"{producer.service or producer.engine} runs without {hook}"
        yield Finding(_AREA, what, "warning", detail)


def _devices(what: str, producer: "Producer") -> Finding:
    """Which devices an engine runs on."""
    name = producer.service or producer.engine
    known = len(producer.devices)
    if known == producer.ranks:
        return Finding(_AREA, what, "ok", f"{name} runs on {', '.join(producer.devices)}")
    named = f": {', '.join(producer.devices)}" if known else ""
    detail = f"{name} told the devices of {known} of its {producer.ranks} ranks{named}"
    remedy = "none if the others are on other nodes; else set OTEL_LLM_ENABLED for workers too"
    return Finding(_AREA, what, "warning", detail, remedy)


def _state(what: str, producer: "Producer", counters: "WriterCounters", *, alive: bool) -> Finding:
    name = producer.service or producer.engine
    state = "alive" if alive else "closed" if counters.clean_close else "died"
    detail = f"{name} ({producer.engine} {producer.engine_version}) {state}"
    if counters.dropped or counters.swallowed:
        detail += f", {counters.dropped} records dropped, {counters.swallowed} errors swallowed"
        return Finding(_AREA, what, "warning", detail, "see the engine's log")
    if state == "died":
        return Finding(
            _AREA, what, "warning", detail, "otel-llm requests --since 1h shows its last"
        )
    return Finding(_AREA, what, "ok", detail)
