"""Hostile and damaged journals: what is lost is counted, and the rest is read."""

import errno
import os
from pathlib import Path

import msgspec
import pytest

from otel_llm.devices.source import Reading
from otel_llm.journal.layout import HEADER_BYTES
from otel_llm.journal.records import KIND_OF
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.testing import Swallowed
from tests.agent.bench import ALL, SECOND, Bench, die, serve
from tests.agent.builders import arrived, finished
from tests.devices.facts import sample


def test_overwritten(bench: Bench) -> None:
    """Records that the ring overwrote before they were read are counted."""
    journal = bench.engine(journal_bytes=65_536)
    journal.write(arrived(1))
    bench.turn()
    serve(journal, 2, 400)
    journal.write(finished(1))
    bench.turn()
    assert (bench.lost("overwritten") or 0) > 0
    [first] = [b for b in bench.rows.taken if b.target == "llm_requests"]
    assert first.items > 1


def test_corrupt(bench: Bench) -> None:
    """Damage in the ring is counted, and reading goes on behind it."""
    journal = bench.engine()
    serve(journal, 1, 3)
    [file] = Path(bench.settings.journal_dir).glob("engine-*.journal")
    with file.open("r+b") as stream:
        stream.seek(HEADER_BYTES + 200)
        stream.write(b"\xff" * 64)
    bench.turn()
    serve(journal, 4)
    bench.turn()
    assert (bench.lost("corrupt") or 0) > 0
    assert any(b"req-4" in batch.body for batch in bench.rows.taken)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return [message for message in found if "lost" in message]


def _write_nonsense(journal: Journal, count: int = 1) -> None:
    ring = journal._ring
    assert ring is not None
    for _ in range(count):
        ring.append(99, b"the prompt of somebody")


def test_losses_are_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """One warning per journal and reason, then at most one a minute with what came since."""
    first, second = bench.engine(), bench.engine()
    names = [f"engine-{one.producer.instance_id}.journal" for one in (first, second)]
    _write_nonsense(first, 2)
    bench.turn()
    assert _warnings(caplog) == [f"{names[0]}: records lost: 2 (undecodable)"]
    _write_nonsense(first, 3)
    _write_nonsense(second)
    bench.turn()
    assert _warnings(caplog) == [f"{names[1]}: records lost: 1 (undecodable)"]
    _write_nonsense(first)
    bench.turn()
    assert _warnings(caplog) == []
    bench.clock.advance(57 * SECOND)
    bench.turn()
    assert _warnings(caplog) == [f"{names[0]}: records lost: 4 (undecodable)"]
    bench.clock.advance(120 * SECOND)
    bench.turn()
    assert _warnings(caplog) == []


def test_each_reason_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """What the writer dropped and what could not be decoded are two warnings."""
    journal = bench.engine(journal_bytes=65_536)
    journal.write(arrived(1, request_id="x" * 60_000))
    _write_nonsense(journal)
    bench.turn()
    name = f"engine-{journal.producer.instance_id}.journal"
    assert sorted(_warnings(caplog)) == [
        f"{name}: records lost: 1 (dropped_by_writer)",
        f"{name}: records lost: 1 (undecodable)",
    ]


def test_undecodable(bench: Bench) -> None:
    """A whole record with impossible content, or text that is no UTF-8, is counted."""
    journal = bench.engine()
    ring = journal._ring
    assert ring is not None
    whole = msgspec.msgpack.encode(arrived(1, request_id="name"))
    ring.append(KIND_OF[type(arrived())], whole.replace(b"name", b"\xff\xfe\xfd\xfc"))
    ring.append(99, b"what the future holds")
    journal.write(arrived(-5))
    bench.turn()
    assert bench.lost("undecodable") == 3
    assert bench.value("otel_llm_malformed_total", what="tokens") == 1


def test_dropped_by_the_writer(bench: Bench) -> None:
    """What the writer could not write, and what its hooks swallowed, is counted once."""
    journal = bench.engine(journal_bytes=65_536)
    journal.write(arrived(1, request_id="x" * 60_000))
    journal.count_swallowed()
    bench.turn()
    bench.turn()
    assert bench.lost("dropped_by_writer") == 1
    assert bench.value("otel_llm_swallowed_errors_total", service_name="svc") == 1
    bench.kill()
    bench.turn()
    assert bench.lost("dropped_by_writer") == 0


def test_too_many_open(bench: Bench) -> None:
    """Requests beyond the bound are counted."""
    bench.settings = msgspec.structs.replace(bench.settings, max_open_requests=3)
    bench.kill()
    journal = bench.engine()
    for index in range(1, 6):
        journal.write(arrived(index))
    bench.turn()
    assert bench.lost("state_full") == 2
    assert bench.value("otel_llm_requests_open", service_name="svc") == 3


def _foreign(directory: Path) -> list[Path]:
    names = [f"engine-{digit * 32}.journal" for digit in "abcde"]
    short, foreign, link, pipe, folder = (directory / name for name in names)
    short.write_bytes(b"OT")
    foreign.write_bytes(os.urandom(20_000))
    link.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    folder.mkdir()
    return [short, foreign, link, pipe, folder]


def test_what_is_no_journal(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Short, foreign, linked and odd files are counted and named once, and never removed."""
    serve(bench.engine())
    files = _foreign(Path(bench.settings.journal_dir))
    bench.turn()
    bench.turn()
    assert bench.value("otel_llm_malformed_total", what="journal") == 5
    assert len([1 for record in caplog.records if "not read" in record.getMessage()]) == 5
    assert bench.rows.items == ALL
    assert all(os.path.lexists(file) for file in files)


def test_a_copied_journal(bench: Bench) -> None:
    """A copy under another name would double every fact; it is not read."""
    serve(bench.engine())
    directory = Path(bench.settings.journal_dir)
    [file] = directory.glob("engine-*.journal")
    (directory / f"engine-{'0' * 32}.journal").write_bytes(file.read_bytes())
    bench.turn()
    assert bench.rows.items == ALL
    assert bench.value("otel_llm_malformed_total", what="journal") == 1


def test_a_journal_cut_short(bench: Bench) -> None:
    """A file that somebody truncates while it is read does the agent no harm."""
    journal = bench.engine()
    serve(journal)
    bench.turn()
    [file] = Path(bench.settings.journal_dir).glob("engine-*.journal")
    os.truncate(file, 100)
    bench.turn()
    die(journal)
    bench.turn()
    bench.turn()
    assert bench.rows.items == {**ALL, "llm_engine_events": 2}


def test_a_header_with_hostile_values(bench: Bench) -> None:
    """What a journal says of its writer is mended and counted like any record."""
    journal = open_journal(
        kind="engine", service="s" * 300, engine="reference", engine_version="1",
        dp_rank=1 << 40, settings=bench.settings, clock=bench.clock,
    )  # fmt: skip
    serve(journal)
    bench.turn()
    assert bench.rows.items == ALL
    assert bench.value("otel_llm_malformed_total", what="tokens") == 1


def test_no_descriptor_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A journal that cannot be opened now is tried again, named once, and read whole later."""
    serve(bench.engine())
    really_open = os.open

    def refuse(path: Path, flags: int, *more: int, **named: int) -> int:
        if str(path).endswith(".journal"):
            raise OSError(errno.EMFILE, "Too many open files")
        return really_open(path, flags, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        bench.turn()
        bench.turn()
    assert bench.rows.items == {}
    bench.turn()
    assert bench.rows.items == ALL
    assert bench.value("otel_llm_malformed_total", what="journal") == 0
    messages = [record.getMessage() for record in caplog.records]
    assert len([text for text in messages if "trying again" in text]) == 1


def test_a_row_that_cannot_be_encoded(bench: Bench, swallowed: Swallowed) -> None:
    """It is counted once, also where the state cannot be written at first; the rest is sent."""
    bad = msgspec.structs.replace(sample(3, power_mw=3), anchor=None)
    bench.sampler.hand_over(Reading([sample(2, power_mw=2), bad, sample(4, power_mw=4)]), full=True)
    bench.turn()
    bench.turn()
    assert bench.rows.items["gpu_power"] == 2
    assert bench.lost("unencodable") == 1
    assert {place for place, _ in swallowed} == {"rows.gpu_power"}
    swallowed.clear()
