"""Kernels from a worker's launch to the answer: real shim, hooks, agent and store, a fake GPU."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from otel_llm.demo.stack import Stack
from otel_llm.settings import Settings
from tests.engines.vllm.workers import UUIDS
from tests.kernels.conftest import built, environment
from tests.stack.harness import store, wait_for

__all__ = ["built", "environment"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
DEVICE = f"GPU-{UUIDS[0]}"
STEPS = 120
EVERY, LATE = Settings().keep_kernels_every, Settings().keep_late_steps


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Store and agent alone."""
    made = Stack(tmp_path, max_in_flight=1)
    try:
        made.start_up()
        made.start_agent()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.journal_dir, ignore_errors=True)


class Engine:
    """A process of `tests.engines.vllm.stepping`."""

    def __init__(self, stack: Stack, environment: dict[str, str], fake: Path, **more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engines.vllm.stepping", fake, str(STEPS)],
            env=environment | stack.environment | more, cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ended(self) -> tuple[str, Counter[int]]:
        """Wait for its end: the engine's instance id, and how many kernels each step launched."""
        out, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0
        told = json.loads(out)
        launched: Counter[int] = Counter()
        for step, kernels in told["launches"]:
            launched[step] += kernels
        return told["engine"], launched


def rows(stack: Stack, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
    """What a statement answers."""
    return [tuple(row) for row in store(stack).query(sql, parameters=parameters).result_rows]


def by_step(stack: Stack, engine: str) -> dict[int, int]:
    """Kernels of each step in the store, all classes together."""
    found = rows(
        stack,
        "SELECT step_seq, sum(arraySum(kernels)) FROM llm_step_kernels"
        " WHERE source = 'cupti' AND (instance_id = {i:String} OR step_seq = 0) GROUP BY 1",
        i=engine,
    )
    return {int(step): int(many) for step, many in found}


def program(stack: Stack, *arguments: str) -> Any:  # noqa: ANN401  JSON
    """What the program answers, as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "otel_llm.cli.main", *arguments, "--json"],
        env=stack.environment | {"PATH": "/usr/bin"}, cwd=ROOT, stdout=subprocess.PIPE, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    return json.loads(done.stdout)


def metric(stack: Stack, line: str) -> float:
    """A value of the agent's page."""
    text = httpx.get(f"{stack.agent_url}/metrics").text
    found = [one for one in text.splitlines() if one.startswith(f"{line} ")]
    return float(found[0].split()[-1]) if found else -1.0


@pytest.mark.parametrize("kills", [0, 2])
def test_every_kernel_is_under_its_step(
    stack: Stack, environment: dict[str, str], built: Path, kills: int
) -> None:
    """From launch to store, also with an agent that is killed while it reads; and it is shown."""
    engine = Engine(stack, environment, built / "libcupti.so.13", STEP_S="0.03", OUTCOME="failed")
    for _ in range(kills):
        wait_for(lambda: bool(rows(stack, "SELECT 1 FROM llm_step_kernels LIMIT 1")), "some rows")
        stack.kill("agent")
        stack.start_agent()
    instance, launched = engine.ended()
    wait_for(lambda: by_step(stack, instance) == launched, f"{launched}, kernel for kernel")

    by_name = "SELECT sum(kernels), sum(total_ns) FROM llm_kernels_10s WHERE source = 'cupti'"
    of_steps = "SELECT sum(arraySum(kernels)), sum(arraySum(kernel_ns)) FROM llm_step_kernels"
    wait_for(lambda: rows(stack, by_name) == rows(stack, of_steps), "the same sums by name")

    told = rows(
        stack,
        "SELECT DISTINCT device, rank, service, host != '', busy_bound, incomplete"
        " FROM llm_step_kernels WHERE instance_id = {i:String}",
        i=instance,
    )
    assert told == [(DEVICE, 1, "vllm", True, False, False)]

    # Of one step in many, and of the last ones of a request that failed, every single kernel.
    late = set(range(STEPS - LATE + 1, STEPS + 1))
    sampled = set(range(EVERY, STEPS + 1, EVERY))
    kept = late | sampled
    singles = "SELECT step_seq, count() FROM llm_kernels WHERE source = 'cupti' GROUP BY 1"
    if kills:
        # An agent knows of the steps that were joined since its start, and keeps none twice.
        found = dict(rows(stack, singles))
        assert sampled <= set(found) <= kept
        assert found == {step: launched[step] for step in found}
    else:
        wait_for(
            lambda: dict(rows(stack, singles)) == {step: launched[step] for step in kept},
            "single kernels of the steps that are kept",
        )
        why = "SELECT DISTINCT kept, step_seq FROM llm_step_kernel_names"
        assert set(rows(stack, why)) == {
            ("failed" if one in late else "sample", one) for one in kept
        }

    top = program(stack, "kernels", "top", "--by", "name", "--limit", "100000")
    assert sum(one["launches"] for one in top if one["source"] == "cupti") == launched.total()
    trace = program(stack, "trace", "api-1")
    classes = [one for one in _all(trace, "kernel_classes") if one["source"] == "cupti"]
    assert sum(one["launches"] for one in classes) == launched.total() - launched[0]
    if not kills:
        assert metric(stack, 'otel_llm_kernel_records_total{kind="kernel"}') > 0
        assert metric(stack, 'otel_llm_kernel_lost_total{reason="dropped_by_cupti"}') == 0
        assert metric(stack, 'otel_llm_kernel_late_steps_total{result="kept"}') > 0


def _all(tree: Any, key: str) -> list[Any]:  # noqa: ANN401  JSON
    """Every entry of the lists under a key, wherever it stands."""
    if isinstance(tree, dict):
        own = tree.get(key, [])
        return [*(own if isinstance(own, list) else []), *_all(list(tree.values()), key)]
    if isinstance(tree, list):
        return [one for each in tree for one in _all(each, key)]
    return []
