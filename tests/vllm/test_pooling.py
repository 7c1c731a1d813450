"""A vLLM that embeds: no token is generated, and accounts are exact all the same."""

from collections.abc import Iterator

import pytest

from tests.stack.harness import store, wait_for
from tests.vllm.conftest import Serving
from tests.vllm.evidence import Row, accounts, lost, swallowed_errors, unresolved, wrong_accounts
from tests.vllm.harness import Site
from tests.vllm.load import Posted, post

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(360)]

TEXTS = ["short", "a longer text " * 20, "one that takes several steps " * 30]


@pytest.fixture(scope="module")
def site(serving: Serving) -> Iterator[Site]:
    """The tiny model, as one that embeds."""
    options = ("--runner", "pooling", "--convert", "embed", "--max-num-batched-tokens", "2048")
    with serving(options) as serving_site:
        yield serving_site


def test_embeddings_have_their_kind_and_their_accounts(site: Site) -> None:
    """Each text of a call is a request that generates nothing."""
    posted = post(site, {"model": "babbler", "input": TEXTS}, "/v1/embeddings")
    found = arrived(site, posted)
    assert {row["operation"] for row in found} == {"embeddings"}
    assert {row["api_request_id"] for row in found} == {posted.response_id}
    assert sorted(row["prompt"] for row in found) == sorted(map(len, TEXTS))
    assert {(row["output"], row["delivered"]) for row in found} == {(0, 0)}
    assert {row["outcome"] for row in found} == {"finished"}
    assert {row["tenant"] for row in found} == {"acme"}
    assert all(row["first_output_ns"] is not None for row in found)
    assert all(row["steps"] for row in found)
    assert wrong_accounts(found) == []
    assert unresolved(store(site.stack)) == []
    assert lost(site) == 0
    assert swallowed_errors(site) == 0


def arrived(site: Site, posted: Posted) -> list[Row]:
    """The call's requests, once all have come."""
    client = store(site.stack)

    def mine() -> list[Row]:
        return [row for row in accounts(client) if row["trace_id"] == posted.trace_id]

    wait_for(lambda: len(mine()) == len(TEXTS) and not wrong_accounts(mine()), "all requests")
    return mine()
