"""Where this process runs, as facts of a process here would say."""

from collections.abc import Iterator

from otel_llm.cli.checks.finding import Finding
from otel_llm.identity import survey
from otel_llm.settings import Settings


def check(settings: Settings) -> Iterator[Finding]:
    """What is known; names that nobody told are left out."""
    identity, unreadable = survey(settings.model_version)
    found = dict(identity.attributes())
    for key, value in found.items():
        yield Finding("identity", key, "ok", value)
    for path, reason in unreadable.items():
        remedy = "let this user read it, or name what it tells in OTEL_RESOURCE_ATTRIBUTES"
        yield Finding("identity", f"/{path}", "warning", f"cannot be read: {reason}", remedy)
    if "k8s.pod.name" in found and "k8s.node.name" not in found:
        remedy = "give the pod the variable NODE_NAME; docs/identity.md has the manifest"
        yield Finding("identity", "k8s.node.name", "warning", "not told", remedy)
