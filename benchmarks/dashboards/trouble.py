"""Faults of the drills in the recorded run, so that panels on failure have something to show."""

import time
from contextlib import ExitStack

import httpx

from benchmarks.drills.faults import FAULTS
from benchmarks.drills.load import STEADY, Load
from benchmarks.drills.stack import DrillStack

NAMES = ("queue flood", "errors of one tenant", "dead engine")
_EACH_S = 5.0
_AFTER_S = 4.0
_BROKEN = {"traceparent": "00-broken", "x-otel-llm-tenant": "globex"}


def make(stack: DrillStack) -> None:
    """Let the faults happen one after the other while callers call, and mend them.

    Args:
        stack: running, with nothing wrong.

    Raises:
        DemoError: an engine did not come back.
    """
    by_name = {fault.name: fault for fault in FAULTS}
    with ExitStack() as calling:
        calling.callback(Load(stack.gateway_url, stack.engines.model, STEADY).stop)
        for name in NAMES:
            load = by_name[name].break_it(stack)
            time.sleep(_EACH_S)
            if load is not None:
                load.stop()
        _broken_contexts(stack)
        for name in NAMES:
            mend = by_name[name].mend
            if mend is not None:
                mend(stack)
        time.sleep(_AFTER_S)


def _broken_contexts(stack: DrillStack) -> None:
    """Calls whose trace context nobody can read, over some scrapes."""
    with httpx.Client(base_url=stack.gateway_url, headers=_BROKEN, timeout=30) as client:
        for _ in range(6):
            body = {"model": stack.engines.model, "prompt": "hello", "max_tokens": 4}
            client.post("/v1/completions", json=body)
            time.sleep(0.5)
