"""What a writer does in good and in bad conditions: it never harms the process it writes in."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.conventions.identity import ATTRIBUTES
from otel_llm.facts import RequestArrived, StepDone, StepScheduled
from otel_llm.journal.directory import ensure, scan, temporary_name
from otel_llm.journal.reader import JournalReader, LostCounts
from otel_llm.journal.records import Record
from otel_llm.journal.writer import MAX_DEVICES, Journal, open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock

PathOf = Callable[[Journal], Path]
OpenJournal = Callable[..., Journal]


def step(number: int, members: int = 10) -> StepDone:
    """A record whose content follows from its number."""
    return StepDone(number, MonotonicNs(number), [number % 50] * members)


def read_all(path: Path) -> list[Record]:
    """All records of a journal."""
    reader = JournalReader.open(path)
    records = []
    while fresh := reader.read():
        records += fresh
    reader.close()
    return records


def test_identity(journal: Journal, path_of: PathOf) -> None:
    """The header says who writes: a random id, the boot, the host, the software."""
    producer = journal.producer
    assert len(producer.instance_id) == 32
    assert producer.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert producer.host == os.uname().nodename
    assert (producer.engine, producer.engine_version, producer.model) == (
        "reference", "1.2.3", "tiny",
    )  # fmt: skip
    assert path_of(journal).name == f"engine-{producer.instance_id}.journal"


def test_the_service_setting_comes_first(open_small: OpenJournal) -> None:
    """A service named by setting replaces the one the engine names."""
    assert open_small(service="from-setting").producer.service == "from-setting"
    assert open_small().producer.service == "engine-a"


def test_many_devices_never_cost_the_journal(journal_dir: Path) -> None:
    """More than a header has room for are cut; how many ranks there are still tells of the rest."""
    journal = open_journal(
        kind="engine", service="s", engine="e", engine_version="1",
        devices=["GPU-" + "é" * 500] * 1_000, ranks=1_000,
        settings=Settings(journal_dir=str(journal_dir), journal_bytes=65536),
    )  # fmt: skip
    assert journal.instance_id
    assert len(journal.producer.devices) == MAX_DEVICES
    assert journal.producer.ranks == 1_000
    journal.close()


def test_the_longest_description_fits(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long names, all devices and an identity of the longest values: still a journal."""
    long = "é" * 200
    told = ",".join(f"{key}={long}" for key in ATTRIBUTES.values())
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", told)
    journal = open_journal(
        kind="engine", service=long, engine=long, engine_version=long, model=long,
        devices=["GPU-" + "5e0c" * 15] * MAX_DEVICES,
        settings=Settings(journal_dir=str(journal_dir), journal_bytes=65536),
    )  # fmt: skip
    assert len(list(journal_dir.glob("engine-*.journal"))) == 1
    journal.close()


def test_an_anchor_each_second(journal: Journal, clock: FakeClock, path_of: PathOf) -> None:
    """The first record is an anchor; another comes at the first write after each second."""
    for _ in range(5):
        journal.write(step(1))
        clock.advance(400_000_000)
    clock.step_wall(-7_000_000_000)
    clock.advance(1_000_000_000)
    journal.write(step(2))
    kinds = [type(record).__name__ for record in read_all(path_of(journal))]
    assert kinds == ["Anchor", *["StepDone"] * 3, "Anchor", *["StepDone"] * 2, "Anchor", "StepDone"]
    last = [record for record in read_all(path_of(journal)) if isinstance(record, Anchor)][-1]
    assert last.wall(MonotonicNs(0)) == EpochNs(1_700_000_000_000_000_000 - 8_000_000_000)


def test_close_is_marked_and_final(journal: Journal, path_of: PathOf) -> None:
    """A closed journal says so, is not alive, and takes nothing more."""
    path = path_of(journal)
    journal.write(step(1))
    reader = JournalReader.open(path)
    assert reader.is_alive()
    assert not reader.counters.clean_close
    journal.close()
    journal.close()
    journal.write(step(2))
    journal.count_swallowed()
    assert not reader.is_alive()
    assert reader.counters.clean_close
    assert reader.counters.swallowed == 0
    assert len(reader.read()) == 2
    reader.close()


def test_swallowed_errors_are_counted_in_the_header(journal: Journal, path_of: PathOf) -> None:
    """The agent learns from the header how many errors the hooks kept from their host."""
    reader = JournalReader.open(path_of(journal))
    journal.count_swallowed()
    journal.count_swallowed()
    assert reader.counters.swallowed == 2
    reader.close()


@pytest.mark.parametrize(
    "record",
    [
        step(1, 20_000),  # longer than a quarter of the ring
        step(1 << 70),  # no 64-bit number
        StepDone(1, MonotonicNs(1), cast("list[int]", [object()])),
        RequestArrived(1, "\udc80", "a", "chat", "m", MonotonicNs(1), 1),
        cast("Record", "no record"),
        cast("Record", Settings(journal_dir="x")),
    ],
)
def test_bad_data_is_dropped_and_counted(journal: Journal, path_of: PathOf, record: Record) -> None:
    """What cannot be written is counted, and the records around it arrive."""
    journal.write(step(1))
    journal.write(record)
    journal.write(step(2))
    reader = JournalReader.open(path_of(journal))
    assert reader.read()[1:] == [step(1), step(2)]
    assert reader.counters.dropped == 1
    assert reader.lost == LostCounts()
    reader.close()


def test_threads_share_a_journal(open_small: OpenJournal, path_of: PathOf) -> None:
    """Records of several threads all arrive, each thread's in order."""
    journal = open_small(journal_bytes=4 << 20)
    count = 2000

    def write(thread: int) -> None:
        for number in range(count):
            journal.write(StepDone(thread, MonotonicNs(number), [thread] * (number % 20)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    steps = [record for record in read_all(path_of(journal)) if isinstance(record, StepDone)]
    for number in range(4):
        stamps = [record.result_ns for record in steps if record.seq == number]
        assert stamps == list(range(count))


def test_a_write_inside_a_write_is_dropped(open_small: OpenJournal, path_of: PathOf) -> None:
    """A signal handler that writes in the middle of a write neither blocks nor spoils it."""
    inner: list[Journal] = []

    class Reentrant(FakeClock):
        def anchor(self) -> Anchor:
            inner[0].write(step(99))  # as a handler or a finaliser would, in mid-write
            return super().anchor()

    journal = open_small(clock=Reentrant())
    inner.append(journal)
    journal.write(step(1))
    assert read_all(path_of(journal))[1:] == [step(1)]
    reader = JournalReader.open(path_of(journal))
    assert reader.counters.dropped == 1
    reader.close()


def test_disabled_makes_nothing(open_small: OpenJournal, journal_dir: Path) -> None:
    """With `enabled` false there is no file, and every call does nothing."""
    journal = open_small(enabled=False)
    journal.write(step(1))
    journal.count_swallowed()
    journal.close()
    assert not journal_dir.exists()


def test_a_wrong_setting_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong setting costs telemetry, not the engine; the log names it and the remedy."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", "plenty")
    with caplog.at_level(logging.WARNING, "otel_llm"):
        journal = open_journal(kind="engine", service="s", engine="e", engine_version="1")
        journal.write(step(1))
    (message,) = [record.getMessage() for record in caplog.records]
    assert "journal_bytes" in message
    assert "OTEL_LLM_JOURNAL_BYTES" in message


@pytest.mark.parametrize(("readable", "mode"), [(False, 0o600), (True, 0o640)])
def test_mode_of_the_file(
    open_small: OpenJournal, path_of: PathOf, *, readable: bool, mode: int
) -> None:
    """Journals are private, or readable for the group if set so, whatever the umask."""
    old = os.umask(0o077)
    try:
        journal = open_small(journal_group_readable=readable)
    finally:
        os.umask(old)
    assert path_of(journal).stat().st_mode & 0o777 == mode


def test_a_shared_directory_is_made_for_the_group(
    open_small: OpenJournal, journal_dir: Path
) -> None:
    """With journals readable for the group, so is a directory made for them, whatever the umask."""
    old = os.umask(0o077)
    try:
        open_small(journal_group_readable=True)
    finally:
        os.umask(old)
    assert journal_dir.stat().st_mode & 0o777 == 0o750


def test_the_directory_is_made_private(journal: Journal, journal_dir: Path) -> None:
    """The directory is made for its owner alone, and holds nothing but the journal."""
    assert journal.producer.kind == "engine"
    assert journal_dir.stat().st_mode & 0o777 == 0o700
    assert scan(journal_dir) == list(journal_dir.iterdir())


@pytest.fixture
def refused(open_small: OpenJournal, caplog: pytest.LogCaptureFixture) -> Callable[..., str]:
    """Opens a journal that cannot be made; gives the one warning."""

    def opened(**settings: object) -> str:
        with caplog.at_level(logging.WARNING, "otel_llm"):
            journal = open_small(**settings)
            journal.write(step(1))
            journal.write(step(2))
        (record,) = caplog.records
        assert "goes on without telemetry" in record.getMessage()
        return record.getMessage()

    return opened


def test_a_linked_directory_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    """A symlink in place of the directory could lead anywhere."""
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert "no symlink" in refused(journal_dir=str(link))
    assert list((tmp_path / "real").iterdir()) == []


def test_an_open_directory_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    """Where others may write, they may swap files; and the mode of a directory is its owner's."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert "others may write" in refused(journal_dir=str(shared))
    assert shared.stat().st_mode & 0o7777 == 0o1777


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_stranger_s_directory_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    """A directory that somebody else made first is not used."""
    strange = tmp_path / "strange"
    strange.mkdir(mode=0o700)
    os.chown(strange, 12345, 12345)
    assert "belongs to user 12345" in refused(journal_dir=str(strange))


def test_a_file_in_the_way_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    """A file where the directory should be is told by name."""
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refused(journal_dir=str(tmp_path / "file"))


@pytest.fixture
def tiny_tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs with room for 100 KiB."""
    place = tmp_path / "tmpfs"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k,mode=0700", "tmpfs", str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"THE FULL-DISK TEST DID NOT RUN, no tmpfs here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk(
    tiny_tmpfs: Path, open_small: OpenJournal, caplog: pytest.LogCaptureFixture
) -> None:
    """No space: no journal, one warning that names the remedy, nothing left, the host goes on."""
    first = open_small(journal_dir=str(tiny_tmpfs), journal_bytes=65536)
    with caplog.at_level(logging.WARNING, "otel_llm"):
        second = open_small(journal_dir=str(tiny_tmpfs), journal_bytes=65536)
        second.write(step(1))
    (record,) = caplog.records
    assert "No space left on device" in record.getMessage()
    assert "OTEL_LLM_JOURNAL_BYTES" in record.getMessage()
    assert [path.name for path in tiny_tmpfs.iterdir()] == [path.name for path in scan(tiny_tmpfs)]
    # All of the first journal was allocated when it was opened: it can still be written over.
    for number in range(3000):
        first.write(step(number))
    assert read_all(scan(tiny_tmpfs)[0])[-1] == step(2999)
    first.close()


def test_file_size_limit(journal_dir: Path) -> None:
    """A limit on file sizes (RLIMIT_FSIZE) is met like a full disk."""
    program = (
        "import json, sys\n"
        "from otel_llm.journal.writer import open_journal\n"
        "from otel_llm.settings import Settings\n"
        "s = Settings(journal_dir=sys.argv[1], journal_bytes=1 << 20)\n"
        "j = open_journal(kind='engine', service='s', engine='e', engine_version='1', settings=s)\n"
        "j.close()\n"
        "print(json.dumps('served on'))\n"
    )

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18))

    done = subprocess.run(
        [sys.executable, "-c", program, str(journal_dir)],
        preexec_fn=limited,
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == "served on"
    assert "File too large" in done.stderr
    assert list(journal_dir.iterdir()) == []


def test_leftovers_are_swept(journal_dir: Path, open_small: OpenJournal) -> None:
    """A journal whose maker was killed halfway is removed by the next; a fresh one is not."""
    journal_dir.mkdir(mode=0o700)
    old, fresh = (journal_dir / temporary_name("engine", digit * 32) for digit in "ab")
    for path in (old, fresh):
        path.touch()
    os.utime(old, (1, 1))
    open_small()
    assert not old.exists()
    assert fresh.exists()
    assert fresh not in scan(journal_dir)


def test_an_interrupt_passes(journal: Journal, path_of: PathOf, clock: FakeClock) -> None:
    """Ctrl-C in the middle of a write reaches the host, and the journal stays usable."""

    def interrupt() -> Anchor:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError

    journal.write(step(1))
    clock.advance(2_000_000_000)
    # A shell starts what runs in the background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clock, "anchor", interrupt)
            with pytest.raises(KeyboardInterrupt):
                journal.write(step(2))
    finally:
        signal.signal(signal.SIGINT, before)
    journal.write(step(3))
    steps = [record for record in read_all(path_of(journal)) if isinstance(record, StepDone)]
    assert steps == [step(1), step(3)]


def test_default_size_holds_two_minutes(tmp_path: Path) -> None:
    """The default journal holds 120 s at 100 steps/s and a batch of 256, high numbers included."""
    settings = Settings(journal_dir=str(tmp_path / "j"))
    journal = open_journal(
        kind="engine", service="s", engine="e", engine_version="1", settings=settings
    )
    batch = 256
    index = list(range(5_000_000, 5_000_000 + batch))  # numbers of a long-lived engine
    context = list(range(70_000, 70_000 + batch))
    tokens = [1] * batch
    steps = 120 * 100
    for seq in range(1, steps + 1):
        now = MonotonicNs(1 << 60)
        journal.write(
            StepScheduled(
                seq, now, index, bytes(batch), tokens, context, batch, 1000, 90_000, 100_000
            )
        )
        journal.write(StepDone(seq, now, tokens, 9_000_000))
    path = scan(tmp_path / "j")[0]
    reader = JournalReader.open(path)
    received = 0
    while fresh := reader.read():
        received += sum(isinstance(record, StepScheduled) for record in fresh)
    assert reader.lost == LostCounts()
    assert received == steps
    reader.close()
    journal.close()


def test_ensure_makes_parents(tmp_path: Path) -> None:
    """Missing parents of the directory are made."""
    os.close(ensure(tmp_path / "a" / "b", Settings()))
    assert (tmp_path / "a" / "b").is_dir()


def test_scan_of_nothing_is_empty(tmp_path: Path) -> None:
    """No directory, no journals."""
    assert scan(tmp_path / "none") == []
