"""Whole journeys out of a real store."""

from typing import TYPE_CHECKING

import msgspec
import pytest

from otel_llm.clock import EpochNs
from otel_llm.query.identify import identify
from otel_llm.query.journey import Journey, load
from otel_llm.query.recent import Filter, recent

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.query.conftest import Snapshot

NAMES = ("retried", "twice", "gone", "shed", "broken", "died", "waited", "direct")


def journey(store: "Client", name: str, tenant: str = "") -> Journey:
    """The sample journey of a name."""
    identity = f"cmpl-{name}-0" if name == "direct" else name.encode().hex()
    (found,) = identify(store, identity, tenant)
    return load(store, found, tenant)


@pytest.mark.parametrize("name", NAMES)
def test_whole_structure(store: "Client", name: str, snapshot: "Snapshot") -> None:
    """Everything known about a journey, field by field; of its steps the first two."""
    found = journey(store, name)
    engines = [msgspec.structs.replace(one, steps=one.steps[:2]) for one in found.engines]
    short = msgspec.structs.replace(found, engines=engines)
    encoded = msgspec.json.format(msgspec.json.encode(short), indent=1)
    snapshot(f"{name}.json", encoded.decode() + "\n")


@pytest.mark.parametrize("name", NAMES)
def test_parts_add_up(store: "Client", name: str) -> None:
    """The parts of the duration add up to it, to the nanosecond."""
    breakdown = journey(store, name).breakdown
    assert sum(part.duration_ns for part in breakdown.parts) == breakdown.total_ns > 0


def test_retry(store: "Client") -> None:
    """Both attempts are there; the request is the second one's; tokens are the usage's."""
    found = journey(store, "retried")
    assert [(one.outcome, one.status_code) for one in found.attempts] == [
        ("failed", 503),
        ("finished", 200),
    ]
    (request,) = found.requests
    assert request.parent_span_id == found.attempts[1].span_id
    assert (found.tokens.source, found.tokens.prompt, found.tokens.output) == ("usage", 212, 60)


def test_two_samples(store: "Client") -> None:
    """Without usage the prompt counts once and each sample's output counts."""
    found = journey(store, "twice")
    assert [one.sample_index for one in found.requests] == [0, 1]
    assert (found.tokens.source, found.tokens.prompt, found.tokens.output) == ("engine", 40, 24)


def test_any_request_leads_to_its_call(store: "Client") -> None:
    """The id of a call's second request gives the same journey as the call's own."""
    (found,) = identify(store, "cmpl-twice-1")
    assert found.kind == "request"
    assert load(store, found) == journey(store, "twice")


def test_steps_tokens_and_neighbours(store: "Client") -> None:
    """A request's steps carry its tokens: prompt not cached, outputs but one, and recomputed."""
    found = journey(store, "retried")
    (engine,) = found.engines
    (request,) = found.requests
    own = sum(sum(step.own_tokens) for step in engine.steps)
    # The preempted step's token was part of what was computed again.
    assert own == 212 - 64 + 60 - 2 + request.recomputed_tokens
    assert {one.tenant: one.requests for one in engine.neighbours} == {
        "acme": 2, "globex": 2, "initech": 1, "": 1,
    }  # fmt: skip


def test_kernels_are_those_of_its_steps(store: "Client") -> None:
    """A request sees the kernels of the steps it took part in, and no others."""
    (engine,) = journey(store, "gone").engines
    assert {kernel.launches for kernel in engine.kernels} == {len(engine.steps) * 4}
    times = [kernel.total_ns for kernel in engine.kernels]
    assert times == sorted(times, reverse=True)


def test_a_tenant_learns_numbers_alone(store: "Client") -> None:
    """In a tenant's view no other tenant's name, request or trace appears anywhere."""
    operator, own = journey(store, "retried"), journey(store, "retried", "acme")
    (engine,) = own.engines
    assert [(one.tenant, one.requests) for one in engine.neighbours] == [(None, 6)]
    text = msgspec.json.encode(own).decode()
    assert not [word for word in ("globex", "initech", "cmpl-gone", "cmpl-twice") if word in text]
    assert own.breakdown == operator.breakdown


def test_vllms_own_span_is_noted_and_not_counted(store: "Client") -> None:
    """With vLLM's tracing on, its span of a request is in the store: one request all the same."""
    (found,) = identify(store, "cmpl-direct")
    direct = load(store, found)
    assert [one.request_id for one in direct.requests] == ["cmpl-direct-0"]
    assert any(note.startswith("vLLM's own span of this call") for note in direct.notes)
    others = [journey(store, name) for name in NAMES if name != "direct"]
    assert not any("vLLM" in note for one in others for note in one.notes)
    everything = recent(store, Filter(since_ns=EpochNs(0), limit=1000))
    assert [one.id for one in everything].count("cmpl-direct-0") == 1
    assert len(everything) == 10
    slowest = recent(store, Filter(since_ns=EpochNs(0), slow=True, limit=1000))
    assert sorted(one.id for one in slowest) == sorted(one.id for one in everything)


def test_an_api_server_of_its_own(store: "Client") -> None:
    """Intake, queue, prefill, decode and delivery add up to the request's own time."""
    direct = journey(store, "direct")
    (request,) = direct.requests
    parts = {part.name: part.duration_ns for part in direct.breakdown.parts if part.duration_ns}
    assert set(parts) == {"intake", "queue", "prefill", "decode", "delivery"}
    assert sum(parts.values()) == request.finished_ns - request.arrival_ns
    (engine,) = direct.engines
    last = engine.steps[-1]
    assert (last.own_drafts, last.own_accepted, last.cudagraph_mode) == ([2], [1], "FULL")
    assert engine.steps[0].own_drafts == []


def test_a_dead_engine(store: "Client") -> None:
    """Its last sign of life, the step in flight and the doubt about its numbers are known."""
    found = journey(store, "died")
    (death,) = found.deaths
    assert death.steps_in_flight == [4]
    assert found.engines[0].steps[-1].status == "in_flight"
    assert any("were lost" in note for note in found.notes)
