"""From an id to what carries it."""

from typing import TYPE_CHECKING

import pytest

from otel_llm.query.identify import identify

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

RETRIED = b"retried".hex()
CALL = (RETRIED + "c" * 32)[:32]


@pytest.mark.parametrize(
    ("identity", "field"),
    [
        (CALL, "call id"),
        ((RETRIED + "7" * 32)[:32], "trace id"),
        (RETRIED[:14] + "00", "span id"),
        (RETRIED[:14] + "02", "span id"),
        (RETRIED[:6], "call id"),
    ],
)
def test_every_id_of_a_call_finds_it(store: "Client", identity: str, field: str) -> None:
    """Call, trace, span and attempt's span id, whole or begun, name the call once."""
    (found,) = identify(store, identity)
    assert found.kind == "call"
    assert found.call_id == CALL
    assert found.field == field or len(identity) == 6


@pytest.mark.parametrize(
    "identity", ["cmpl-retried-0", "e000000000000001", "cmpl-retried-", "cmpl-retried"]
)
def test_ids_of_an_engine_request_find_it(store: "Client", identity: str) -> None:
    """A request id or span id that no call carries names the request."""
    found = identify(store, identity)
    assert {one.trace_id for one in found} >= {(RETRIED + "7" * 32)[:32]}
    assert all(one.kind == "request" for one in found)


def test_a_beginning_of_several_lists_all(store: "Client") -> None:
    """`cmpl-` begins many ids: each journey is listed once, newest first."""
    found = identify(store, "cmpl-")
    times = [one.time_ns for one in found]
    assert times == sorted(times, reverse=True)
    assert len({(one.call_id, one.instance_id, one.api_request_id) for one in found}) == len(found)
    assert {one.call_id[:6] for one in found if one.call_id} == {RETRIED[:6], b"twice".hex()[:6]}


def test_a_full_id_beats_beginnings(store: "Client") -> None:
    """`cmpl-died` is an API request's id, and `cmpl-died-0` its request's: one journey."""
    (found,) = identify(store, "cmpl-died")
    assert (found.kind, found.field) == ("request", "api request id")


def test_a_response_id_that_no_engine_knows(store: "Client") -> None:
    """The id of a response counts as well; here its engine's request has another."""
    (found,) = identify(store, "resp-waited")
    assert (found.field, found.call_id[:12]) == ("response id", b"waited".hex())


@pytest.mark.parametrize("identity", ["", "cmp", "ffffffff", "%", "'; DROP TABLE llm_requests --"])
def test_what_nothing_carries(store: "Client", identity: str) -> None:
    """Too short, unknown or hostile texts find nothing."""
    assert identify(store, identity) == []


def test_a_tenant_finds_its_own_alone(store: "Client") -> None:
    """Another tenant's ids name nothing."""
    assert identify(store, CALL, tenant="acme")
    assert identify(store, CALL, tenant="globex") == []
    assert identify(store, RETRIED[:14] + "02", tenant="globex") == []
    assert identify(store, "cmpl-retried-0", tenant="globex") == []
