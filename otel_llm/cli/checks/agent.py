"""The node agent: whether it runs, answers, and has lost anything."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from otel_llm.cli import agent_page
from otel_llm.cli.checks.finding import Finding
from otel_llm.conventions import Metrics
from otel_llm.errors import OtelLLMError
from otel_llm.settings import Settings

_AREA = "agent"
_LOCK_NAME = "agent.lock"
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{([^}]*)\})? ([0-9.eE+-]+)", re.MULTILINE)

LOSSES = (
    Metrics.LOST_RECORDS,
    Metrics.SWALLOWED,
    Metrics.MALFORMED,
    Metrics.DELIVERY_FAILURES,
)
"""Counters that are 0 on a quiet day."""


def check(settings: Settings) -> Iterator[Finding]:
    """Look at the agent's lock, page and counters of loss."""
    held = _is_held(Path(settings.journal_dir) / _LOCK_NAME)
    if not held:
        detail = f"no agent reads {settings.journal_dir}: facts stay in the journals"
        yield Finding(_AREA, "running", "off", detail, "otel-llm agent")
        return
    yield Finding(_AREA, "running", "ok", f"reads {settings.journal_dir}")
    try:
        page = agent_page.fetch(f"{agent_page.base_url(settings)}/metrics").decode()
    except OtelLLMError as error:
        remedy = "set OTEL_LLM_AGENT_HOST and OTEL_LLM_AGENT_PORT as for the agent"
        yield Finding(_AREA, "metrics", "warning", str(error), remedy)
        return
    yield Finding(_AREA, "metrics", "ok", f"{agent_page.base_url(settings)}/metrics")
    yield from _elsewhere(page)
    yield from _losses(page)


def _is_held(lock: Path) -> bool:
    from otel_llm.journal.directory import is_locked

    try:
        file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return is_locked(file)
    finally:
        os.close(file)


def _elsewhere(page: str) -> Iterator[Finding]:
    """Devices that another agent reads and this one should, one finding each."""
    for name, labels, value in _SAMPLE.findall(page):
        if name == Metrics.DEVICE_ELSEWHERE.name and float(value) > 0:
            detail = f"{labels}: {Metrics.DEVICE_ELSEWHERE.help}"
            remedy = "stop the other agent, or set OTEL_LLM_DEVICES=none for one of both"
            yield Finding(_AREA, "devices", "warning", detail, remedy)


def _losses(page: str) -> Iterator[Finding]:
    """Counters above 0, one finding each."""
    names = {metric.name: metric for metric in LOSSES}
    found = False
    for name, labels, value in _SAMPLE.findall(page):
        if name in names and float(value) > 0:
            found = True
            detail = f"{float(value):g} with {labels or 'no labels'}: {names[name].help}"
            yield Finding(_AREA, name, "warning", detail, "see the agent's log")
    if not found:
        yield Finding(_AREA, "losses", "ok", "every counter of loss is 0")
