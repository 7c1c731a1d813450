"""What the API server's hooks wrote, read back from its journals."""

from pathlib import Path

from otel_llm.facts.request import RequestDelivered
from otel_llm.journal import directory
from otel_llm.journal.reader import JournalReader


def deliveries(journal_dir: Path, swallowed: int = 0) -> dict[str, RequestDelivered]:
    """Every request that was delivered, by request id. Each journal must be whole.

    Args:
        journal_dir: where the journals are.
        swallowed: how many errors hooks kept from vLLM, by the journals' headers.
    """
    found: dict[str, RequestDelivered] = {}
    seen = 0
    for path in directory.scan(journal_dir):
        reader = JournalReader.open(path)
        if reader.producer.kind == "frontend":
            while records := reader.read():
                for one in records:
                    if isinstance(one, RequestDelivered):
                        assert one.request_id not in found, f"{one.request_id} delivered twice"
                        found[one.request_id] = one
            assert reader.counters.dropped == 0
            seen += reader.counters.swallowed
        reader.close()
    assert seen == swallowed
    return found
