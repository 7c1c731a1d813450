"""What doctor says of where this process runs."""

import pytest

from otel_llm.cli.checks import identity
from otel_llm.facts.identity import Identity
from otel_llm.identity.detect import Survey
from otel_llm.settings import Settings


def test_what_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, the reason and what to do; what is known beside it."""
    survey = Survey(Identity(k8s_pod="p"), {"etc/podinfo/labels": "Permission denied"})
    monkeypatch.setattr(identity, "survey", lambda _version: survey)
    found = {one.what: one for one in identity.check(Settings())}
    assert found["k8s.pod.name"].detail == "p"
    unread = found["/etc/podinfo/labels"]
    assert (unread.status, unread.detail) == ("warning", "cannot be read: Permission denied")
    assert "OTEL_RESOURCE_ATTRIBUTES" in unread.remedy
    assert "NODE_NAME" in found["k8s.node.name"].remedy
