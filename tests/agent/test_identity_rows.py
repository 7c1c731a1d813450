"""Where an engine runs: from its environment to its row, and from its facts' rows to that."""

import pytest

from tests.agent.bench import Bench, serve
from tests.agent.test_two_halves import rows


def test_from_the_environment_to_the_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found when the journal is opened, told once, and found again by every fact's instance."""
    monkeypatch.setenv("K8S_POD_NAME", "chat-0")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.type=p5.48xlarge,host.id=i-1")
    journal = bench.engine()
    serve(journal)
    bench.turn()
    [producer] = rows(bench, "llm_producers")
    told = ("k8s_pod", "slurm_job_id", "cloud_instance_type", "host_id")
    assert [producer[name] for name in told] == ["chat-0", "4711", "p5.48xlarge", "i-1"]
    for table in ("llm_requests", "llm_steps", "llm_kernels", "llm_engine_events"):
        found = {row["instance_id"] for row in rows(bench, table)}
        assert found <= {producer["instance_id"]}, table
    assert rows(bench, "llm_requests")
