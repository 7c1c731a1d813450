"""Kernels by class: over a window, and in the steps of one request."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otel_llm.agent.batches import make_batches
from otel_llm.cli.render.page import journey_lines
from otel_llm.cli.render.text import ASCII
from otel_llm.context import TenantTag
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.facts.joined import JoinedKernels, JoinedRequest, JoinedStep, KernelTotals, SpanIds
from otel_llm.query.identify import identify
from otel_llm.query.journey import load
from otel_llm.query.kernels import kernel_time
from otel_llm.query.window import Window
from tests.agent.builders import (
    ENGINE,
    TRACE_ID,
    anchor,
    arrived,
    at,
    done,
    finished,
    kernels,
    scheduled,
    wall,
)
from tests.stores import opened

OTHER = msgspec.structs.replace(ENGINE, instance_id="d" * 32, service="other")


def totals(producer: Any, milliseconds: int, names: list[str], total: list[int]) -> KernelTotals:  # noqa: ANN401
    """Ten seconds of some kernels, two launches each."""
    return KernelTotals(
        producer=producer, source="cpu", device="cpu:0", time_ns=wall(milliseconds), names=names,
        classes=["gemm"] * len(names), kernels=[2] * len(names), total_ns=total,
        min_ns=[each // 4 for each in total], max_ns=[each // 2 for each in total],
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A request of one step, the step after it, and ten seconds in two rows and of two engines."""
    directory: Path = tmp_path_factory.mktemp("data")
    facts = [
        JoinedRequest(ENGINE, anchor(), "finished", arrived(), finished(),
                      SpanIds(TRACE_ID, "1" * 16), TenantTag("acme")),
        JoinedStep(ENGINE, anchor(), "done", scheduled(1), done(1), at(8)),
        JoinedStep(ENGINE, anchor(), "done", scheduled(2, 9, (7,)), done(2, 12), at(12)),
        JoinedKernels(ENGINE, anchor(), kernels(1, 3.5)),
        JoinedKernels(ENGINE, anchor(), kernels(2, 9.5)),
        totals(ENGINE, 0, ["a", "b"], [3_000, 1_000]), totals(ENGINE, 0, ["a"], [4_000]),
        totals(OTHER, 0, ["a"], [800]), totals(ENGINE, 60_000, ["a"], [99]),
    ]  # fmt: skip
    with opened(directory) as engine, closing(engine.client()) as client:
        for number, batch in enumerate(make_batches(facts, "boot-1").batches):
            if batch.sink == "clickhouse":
                insert_arrow_block(client, batch.target, batch.body, f"t{number}")
        yield client


def test_rows_of_ten_seconds_add_up(store: Any) -> None:  # noqa: ANN401
    """Several rows of the same ten seconds are one sum; shares are of one engine."""
    window = Window(since_ns=wall(0), until_ns=wall(10_000))
    found = kernel_time(store, window, "name")
    assert [(one.service, one.kernel, one.launches, one.time_ratio) for one in found] == [
        ("chat-prod", "a", 4, 0.875), ("chat-prod", "b", 2, 0.125), ("other", "a", 2, 1.0),
    ]  # fmt: skip
    assert (found[0].shortest_s, found[0].longest_s) == (750e-9, 2e-6)
    [one] = kernel_time(store, msgspec.structs.replace(window, service="other"), "class", "gemm")
    assert (one.kind, one.kernel, one.total_s) == ("gemm", "", 800e-9)


def test_classes_of_a_requests_steps(store: Any) -> None:  # noqa: ANN401
    """A journey has the classes of the steps that its requests took part in, and shows them."""
    [match] = identify(store, TRACE_ID)
    journey = load(store, match)
    [work] = journey.engines
    assert [(each.kind, each.launches, each.total_ns) for each in work.kernel_classes] == [
        ("attention", 1, 2_500), ("gemm", 2, 2_200),
    ]  # fmt: skip
    text = "\n".join(map(str, journey_lines(journey, 100, ASCII)))
    assert "kernel classes" in text
