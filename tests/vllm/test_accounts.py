"""200 calls from a gateway to a real vLLM with little memory; then its engine core is killed."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psutil
import pytest

from otel_llm.demo.client import Seen
from otel_llm.demo.complete import outcome
from otel_llm.demo.evidence import collect
from otel_llm.demo.workload import GiveUp
from tests.contract.journals import Journals
from tests.stack.harness import store, wait_for
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
from tests.vllm.load import drive, long, mixed, prompt_characters

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(420)]

# 80 blocks of 32 tokens: one call of the greatest length, or about ten usual ones.
LITTLE_MEMORY = (
    *("--num-gpu-blocks-override", "80"),
    *("--max-num-seqs", "24", "--max-num-batched-tokens", "256"),
)
CALLS, IN_FLIGHT, CANCELLED = 200, 32, 0.1
CANCELLED_IN: dict[GiveUp, str] = {
    "queue": "cancelled_before_schedule",
    "prefill": "cancelled_in_prefill",
    "decode": "cancelled_in_decode",
}


class Run(NamedTuple):
    """A site, what its clients saw, and every request in its store."""

    site: Site
    seen: list[Seen]
    requests: list[Row]


@pytest.fixture(scope="module")
def run(serving: Serving) -> Iterator[Run]:
    """The calls, and all of their facts."""
    with serving(LITTLE_MEMORY) as site:
        seen = drive(site, mixed(CALLS, CANCELLED), IN_FLIGHT)
        yield Run(site, seen, settle(site, seen))


def test_every_account_is_exact(run: Run) -> None:
    """The terms of every request, cancelled ones included, are what its steps add up to."""
    assert wrong_accounts(run.requests) == []
    cancelled = [row for row in run.requests if row["outcome"] == "cancelled"]
    assert len(cancelled) >= CALLS * CANCELLED
    # Accounts of a run in which nothing of this happened would prove little.
    for term in ("cached", "recomputed", "unscheduled", "preemptions"):
        assert sum(row[term] for row in run.requests) > 0, term


def test_every_member_of_every_step_is_a_request(run: Run) -> None:
    """No step names a request that has no row, and no request has two."""
    assert unresolved(store(run.site.stack)) == []
    keys = Counter((row["instance_id"], row["request_index"]) for row in run.requests)
    assert [key for key, count in keys.items() if count != 1] == []


def test_nothing_is_lost(run: Run) -> None:
    """The agent counts no lost fact, and no error of a hook was swallowed."""
    assert lost(run.site) == 0
    assert swallowed_errors(run.site) == 0


def test_a_finished_call_is_what_its_client_saw(run: Run) -> None:
    """Output tokens are the characters received, one request per sample under the last attempt."""
    patient = [one for one in run.seen if one.call.give_up == "never"]
    assert len(patient) == CALLS - round(CALLS * CANCELLED)
    assert {one.ended for one in patient} == {"completed"}
    finished = [one for one in run.seen if one.ended == "completed"]
    facts = collect(store(run.site.stack))
    by_trace: dict[str, list[Row]] = {}
    for row in run.requests:
        by_trace.setdefault(row["trace_id"], []).append(row)
    for one in finished:
        mine = by_trace[one.trace_id]
        assert sum(row["output"] for row in mine) == one.characters
        assert sum(row["delivered"] for row in mine) == one.characters
        assert {row["prompt"] for row in mine} == {prompt_characters(one.call)}
        assert sorted(row["sample_index"] for row in mine) == list(range(one.call.samples))
        assert {row["sample_count"] for row in mine} == {one.call.samples}
        assert {row["outcome"] for row in mine} == {"finished"}
        assert len({row["api_request_id"] for row in mine}) == 1
        [call] = facts[one.trace_id]
        assert {row["parent_span_id"] for row in mine} == {call.attempts[-1]["span_id"]}


def test_the_caller_is_known_at_the_engine(run: Run) -> None:
    """Tenant, tier and operation of each request are those of its call, cancelled ones included."""
    calls = {one.trace_id: one.call for one in run.seen}
    strangers = [row for row in run.requests if row["trace_id"] not in calls]
    assert len(strangers) <= 2, "only the last call, sent to settle, is nobody's"
    for row in run.requests:
        if row["trace_id"] in calls:
            call = calls[row["trace_id"]]
            assert (row["tenant"], row["tier"]) == (call.tenant, call.tier)
            assert row["operation"] == ("chat" if call.chat else "text_completion")


def test_clients_gave_up_in_every_phase(run: Run) -> None:
    """As many as planned left in each phase, and each is recognised as such."""
    facts = collect(store(run.site.stack))
    seen = Counter((one.call.give_up, outcome(facts[one.trace_id][0])) for one in run.seen)
    planned = Counter(call.give_up for call in mixed(CALLS, CANCELLED))
    for phase, called in CANCELLED_IN.items():
        assert seen[phase, called] == planned[phase] > 0, seen


def test_the_engine_core_is_killed_in_a_step(run: Run) -> None:
    """The flight recorder holds the steps in flight, and the requests the clients had open."""
    found = store(run.site.stack)
    [core] = run.site.engine_cores()
    held: list[set[int]] = []
    journals = Journals(run.site.journal_dir)
    [newest] = rows(found, "SELECT max(seq) AS seq FROM llm_steps")
    busy = "SELECT max(length(request_index)) AS most FROM llm_steps WHERE seq > {seq:UInt64}"
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(drive, run.site, long(16), 16)
        wait_for(lambda: rows(found, busy, **newest)[0]["most"] >= 8, "a full batch")
        wait_for(lambda: bool(stopped_in_a_step(journals, core, held)), "a step in flight")
        core.kill()
        seen = sending.result()
    journals.close()

    died = (
        "SELECT instance_id, steps_in_flight, requests_in_flight FROM llm_engine_events "
        "WHERE event = 'died' AND kind = 'engine'"
    )
    wait_for(lambda: bool(rows(found, died)), "the flight recorder's row")
    [row] = rows(found, died)
    assert set(row["steps_in_flight"]) == held[-1] != set()
    in_flight = "SELECT seq FROM llm_steps WHERE status = 'in_flight'"
    assert {step["seq"] for step in rows(found, in_flight)} == held[-1]

    victims = "SELECT request_id, trace_id FROM llm_requests WHERE outcome = 'engine_died'"
    wait_for(lambda: bool(rows(found, victims)), "the requests that died")
    dead = rows(found, victims)
    assert sorted(each["request_id"] for each in dead) == sorted(row["requests_in_flight"])
    open_then = {one.trace_id for one in seen if one.ended == "broken"}
    assert {each["trace_id"] for each in dead} == open_then != set()
    assert unresolved(found) == []
    assert lost(run.site) == 0


def stopped_in_a_step(journals: Journals, core: psutil.Process, held: list[set[int]]) -> set[int]:
    """Stop the core; let it go on unless its journal ends with a step that has no result."""
    core.suspend()
    [journal] = journals.cores()
    while journal.read():
        pass
    steps = {step.scheduled.seq for step in journal.steps() if step.done is None}
    held.append(steps)
    if not steps:
        core.resume()
    return steps
