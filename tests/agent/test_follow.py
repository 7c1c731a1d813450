"""Following one journal to its end."""

from pathlib import Path

from otel_llm.agent.follow import FollowedJournal
from otel_llm.agent.join import Limits
from otel_llm.clock import SYSTEM_CLOCK
from otel_llm.facts.joined import ProducerEvent
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.recorder import Recorder
from otel_llm.settings import load


def test_a_journal_ends_once(tmp_path: Path) -> None:
    """Looked at again before its end is saved, an ended journal gives nothing more."""
    settings = load(journal_dir=str(tmp_path / "journals"), journal_bytes=65536)
    recorder = Recorder.open(
        engine="e", engine_version="1", model="m", service="s", settings=settings
    )
    recorder.step_done(recorder.step_scheduled(request_index=[], phase=b"", tokens=[], context=[]))
    recorder.close()
    [path] = scan(Path(settings.journal_dir))
    clock = SYSTEM_CLOCK
    journal = FollowedJournal(JournalReader.open(path), Limits(), clock.anchor())

    looks = [journal.read(clock.anchor().wall_ns).facts for _ in range(4)]

    events = [f.event for facts in looks for f in facts if isinstance(f, ProducerEvent)]
    assert events == ["started", "stopped"]
    journal.reader.close()
