"""One vLLM in many processes: two API servers, two data-parallel ranks, no statistics."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from otel_llm.demo.client import Seen
from otel_llm.demo.vllm.model import MODEL
from tests.stack.harness import store
from tests.vllm.adapter import RANK, write_adapter
from tests.vllm.conftest import Serving
from tests.vllm.evidence import (
    Row,
    lost,
    rows,
    settle,
    swallowed_errors,
    unresolved,
    wrong_accounts,
)
from tests.vllm.harness import Site
from tests.vllm.load import Posted, drive, mixed, post

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(480)]

CALLS, IN_FLIGHT = 40, 16
BEAMS, BEAM_TOKENS = 3, 5
LORA = "poet"


class Run(NamedTuple):
    """A site, what its clients saw, single calls by what they are, and all requests."""

    site: Site
    seen: list[Seen]
    posted: dict[str, Posted]
    requests: list[Row]

    def of(self, what: str) -> list[Row]:
        """Requests of a single call."""
        return [row for row in self.requests if row["trace_id"] == self.posted[what].trace_id]


@pytest.fixture(scope="module")
def run(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Calls of every kind to a vLLM of six processes, through an allow-list of plug-ins."""
    adapter = write_adapter(tmp_path_factory.mktemp("adapter"))
    with serving(options(adapter), {"VLLM_PLUGINS": "lora_filesystem_resolver"}) as site:
        seen = drive(site, mixed(CALLS, 0.1), IN_FLIGHT)
        posted = {
            "beams": post(
                site,
                {
                    "model": MODEL,
                    "prompt": "beams",
                    "max_tokens": BEAM_TOKENS,
                    "use_beam_search": True,
                    "n": BEAMS,
                },
            ),
            "lora": post(site, {"model": LORA, "prompt": "poems", "max_tokens": 4}),
            "list": post(site, {"model": MODEL, "prompt": ["one", "three"], "max_tokens": 4}),
        }
        yield Run(site, seen, posted, settle(site, seen))


def options(adapter: Path) -> tuple[str, ...]:
    """Options of `vllm serve`."""
    return (
        *("--api-server-count", "2", "--data-parallel-size", "2", "--disable-log-stats"),
        *("--num-gpu-blocks-override", "200", "--max-num-batched-tokens", "256"),
        *("--enable-lora", "--max-lora-rank", str(RANK), "--lora-modules", f"{LORA}={adapter}"),
    )


def test_accounts_are_exact_and_nothing_is_lost(run: Run) -> None:
    """As with one process each, and without vLLM's own statistics."""
    assert wrong_accounts(run.requests) == []
    assert unresolved(store(run.site.stack)) == []
    assert lost(run.site) == 0
    assert swallowed_errors(run.site) == 0
    finished = [one for one in run.seen if one.ended == "completed"]
    assert len(finished) == CALLS - round(CALLS * 0.1)
    tokens = Counter[str]()
    for row in run.requests:
        tokens[row["trace_id"]] += row["output"]
        assert row["delivered"] is not None, row["request_id"]
        assert row["first_output_ns"] is not None or row["outcome"] == "cancelled"
    assert {one.trace_id: one.characters for one in finished}.items() <= tokens.items()


def test_each_rank_and_each_api_server_tells_its_own_part(run: Run) -> None:
    """Two engines with their ranks and two front ends are known, and each of them was at work."""
    started = "SELECT kind, instance_id FROM llm_engine_events WHERE event = 'started'"
    kinds = Counter(row["kind"] for row in rows(store(run.site.stack), started))
    assert kinds == {"engine": 2, "frontend": 2, "gateway": 1}
    ranks = "SELECT dp_rank, uniqExact(instance_id) AS engines FROM llm_steps GROUP BY dp_rank"
    found = {row["dp_rank"]: row["engines"] for row in rows(store(run.site.stack), ranks)}
    assert found == {0: 1, 1: 1}


def test_beams_are_requests_of_one_call(run: Run) -> None:
    """Every step of every beam has its row, under the call's one id."""
    beams = run.of("beams")
    assert len(beams) == 1 + BEAMS * (BEAM_TOKENS - 1)
    assert {row["api_request_id"] for row in beams} == {run.posted["beams"].response_id}
    assert {row["operation"] for row in beams} == {"text_completion"}
    assert {row["output"] for row in beams} == {1}
    assert {row["sample_index"] for row in beams} == set(range(BEAMS))
    assert {row["sample_count"] for row in beams} == {BEAMS}


def test_an_adapter_is_named(run: Run) -> None:
    """The adapter is the model asked for, and is known as an adapter."""
    [row] = run.of("lora")
    assert (row["lora"], row["model"]) == (LORA, LORA)
    assert {each["lora"] for each in run.of("list")} == {""}


def test_a_list_of_prompts_is_one_call(run: Run) -> None:
    """Each prompt is a request with its own length; the call's id is shared."""
    found = run.of("list")
    assert {row["api_request_id"] for row in found} == {run.posted["list"].response_id}
    assert sorted(row["prompt"] for row in found) == [3, 5]
