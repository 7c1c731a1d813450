"""What Alertmanager sends, with examples in it, and as text for Slack."""

import html
from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.relay.examples import Examples

MOST_ALERTS = 50
"""Alerts of one message that examples are looked for."""
_TITLES = {
    "description": "",
    "cause": "Likely cause: ",
    "slowest_traces": "Slowest calls (otel-llm trace ID): ",
    "failed_traces": "Failed calls: ",
    "examples_missing": "No example traces: ",
    "board": "Board: ",
    "runbook": "Runbook: ",
}
"""Annotations in the order of the text, with what stands before them."""


class Alert(msgspec.Struct):
    """One alert, as far as it matters here."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str] = {}


class Message(msgspec.Struct):
    """A message to a webhook, as far as it matters here."""

    alerts: list[Alert]


def with_examples(body: bytes, found: Mapping[int, Examples | str]) -> bytes:
    """The same message with further annotations; all else is passed on as it came.

    Args:
        body: JSON that was read as a `Message`.
        found: examples by the number of their alert, or why there are none.
    """
    whole: dict[str, Any] = msgspec.json.decode(body)
    for number, examples in found.items():
        annotations = whole["alerts"][number].setdefault("annotations", {})
        if isinstance(examples, str):
            annotations["examples_missing"] = examples
            continue
        told = {"slowest_traces": examples.slowest, "failed_traces": examples.failed}
        annotations.update({name: text for name, text in told.items() if text})
    return msgspec.json.encode(whole)


def slack_text(body: bytes) -> str:
    """A message as Slack shows it."""
    message = msgspec.json.decode(body, type=Message)
    return "\n\n".join(_lines(alert) for alert in message.alerts)


def _lines(alert: Alert) -> str:
    said, labels = alert.annotations, alert.labels
    head = f"[{alert.status.upper()}] {labels.get('alertname', '')} ({labels.get('severity', '')})"
    lines = [f"{head}: {said.get('summary', '')}"]
    if alert.status == "firing":
        urls = {name: said[f"{name}_url"] for name in ("board", "runbook") if f"{name}_url" in said}
        told = {**said, **urls}
        lines += [f"{title}{told[name]}" for name, title in _TITLES.items() if told.get(name)]
    return html.escape("\n".join(lines), quote=False)
