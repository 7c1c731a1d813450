"""The relay passes messages on, with traces that show what they say."""

import json
import logging
from typing import Any

import httpx
import pytest

from otel_llm.clock import EpochNs
from otel_llm.errors import StoreError
from otel_llm.query.recent import Filter
from otel_llm.relay import server
from otel_llm.relay.examples import examples, wanted
from otel_llm.relay.message import MOST_ALERTS
from otel_llm.relay.server import Relay, Target
from tests.relay.fakes import BURN, TOKEN, Calls, Sent

HOUR_NS = 3600 * 10**9


def message(*labels: dict[str, str], status: str = "firing") -> dict[str, Any]:
    """What Alertmanager sends."""
    said = {"summary": "Calls are answered: m <burns>", "runbook": "otel-llm alerts runbook X"}
    alerts = [{"status": status, "labels": each, "annotations": dict(said)} for each in labels]
    return {"version": "4", "receiver": "page", "alerts": alerts}


async def post(relay: Relay, body: object, token: str = TOKEN) -> int:
    """Send a message; returns the status."""
    transport = httpx.ASGITransport(app=relay.app)
    headers = {"authorization": f"Bearer {token}"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
        return (await client.post("/relay", content=content, headers=headers)).status_code


def relay(calls: Calls, sent: Sent) -> Relay:
    """A relay to a webhook and to Slack."""
    return Relay(TOKEN, calls, Target("http://hook/x", "http://slack/secret"), sent.transport)


async def test_examples_are_in_the_message() -> None:
    """Slowest and failed traces come along; all else is passed on as it was."""
    calls, sent = Calls(), Sent()
    assert await post(relay(calls, sent), message(BURN)) == 200
    told = sent.bodies["hook"]
    annotations = told["alerts"][0].pop("annotations")
    assert annotations["slowest_traces"] == "c3 (12.35 s), e5 (9.00 s), d4 (3.00 s)"
    assert annotations["failed_traces"] == "b2 (shed 429 max_in_flight), e5 (failed 504 timeout)"
    assert told == {
        "version": "4", "receiver": "page", "alerts": [{"status": "firing", "labels": BURN}],
    }  # fmt: skip
    assert {(of.model, of.tenant) for of in calls.asked} == {("m", "")}


async def test_text_for_slack() -> None:
    """What burns, the traces and the runbook; what Slack would read as markup is escaped."""
    sent = Sent()
    await post(relay(Calls(), sent), message(BURN))
    assert sent.bodies["slack"] == {
        "text": "[FIRING] AvailabilityBurn (critical): Calls are answered: m &lt;burns&gt;\n"
        "Slowest calls (otel-llm trace ID): c3 (12.35 s), e5 (9.00 s), d4 (3.00 s)\n"
        "Failed calls: b2 (shed 429 max_in_flight), e5 (failed 504 timeout)\n"
        "Runbook: otel-llm alerts runbook X"
    }


async def test_addresses_take_the_place_of_names() -> None:
    """Where boards and runbooks are served, the text leads there."""
    sent, firing = Sent(), message({"alertname": "GpuLost"})
    firing["alerts"][0]["annotations"] |= {
        "board": "gpu", "board_url": "http://g/d/otel-llm-gpu", "runbook_url": "http://r/GpuLost.md",
    }  # fmt: skip
    await post(relay(Calls(), sent), firing)
    assert sent.bodies["slack"]["text"].endswith(
        "Board: http://g/d/otel-llm-gpu\nRunbook: http://r/GpuLost.md"
    )


async def test_no_calls_for_alerts_that_are_not_about_calls() -> None:
    """The store is not asked for a GPU, nor for what is over."""
    calls, sent = Calls(), Sent()
    gpu = {"alertname": "GpuLost", "category": "gpu"}
    assert await post(relay(calls, sent), message(gpu)) == 200
    assert await post(relay(calls, sent), message(BURN, status="resolved")) == 200
    assert calls.asked == []
    assert "slowest_traces" not in sent.bodies["hook"]["alerts"][0]["annotations"]


@pytest.mark.parametrize("error", [StoreError("away"), ConnectionRefusedError()])
async def test_a_store_away_delays_no_message(error: Exception) -> None:
    """The message goes on and says that there are no examples."""
    sent = Sent()
    assert await post(relay(Calls(error), sent), message(BURN)) == 200
    annotations = sent.bodies["hook"]["alerts"][0]["annotations"]
    assert annotations["examples_missing"] == "the store did not answer"


async def test_a_slow_store_delays_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its patience the message goes without."""
    monkeypatch.setattr(server, "STORE_PATIENCE_S", 0.0)
    sent = Sent()
    assert await post(relay(Calls(), sent), message(BURN)) == 200
    assert "examples_missing" in sent.bodies["hook"]["alerts"][0]["annotations"]


async def test_what_was_not_taken_is_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """Alertmanager hears of it, and the log holds no address."""
    with caplog.at_level(logging.WARNING):
        assert await post(relay(Calls(), Sent(500)), message(BURN)) == 502
    assert "status 500" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("refuses", ["hook", "slack"])
async def test_each_must_take_it(refuses: str) -> None:
    """The others get it all the same."""
    sent = Sent(200, **{refuses: 404})
    assert await post(relay(Calls(), sent), message(BURN)) == 502
    assert sent.bodies.keys() == {"hook", "slack"}


async def test_a_flood_of_alerts() -> None:
    """All are passed on; examples are looked for of the first ones alone."""
    calls, sent = Calls(), Sent()
    many = [{**BURN, "model": f"m{number}"} for number in range(MOST_ALERTS + 5)]
    assert await post(relay(calls, sent), message(*many)) == 200
    told = ["slowest_traces" in one["annotations"] for one in sent.bodies["hook"]["alerts"]]
    assert told == [True] * MOST_ALERTS + [False] * 5


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        (message(BURN), "wrong", 401),
        (b"x" * (2 << 20), TOKEN, 413),
        (b"{", TOKEN, 400),
        (b'{"alerts": [{"status": 1}]}', TOKEN, 400),
    ],
)
async def test_refused(body: object, token: str, status: int) -> None:
    """A stranger, a flood and garbage reach neither the store nor anybody else."""
    calls, sent = Calls(), Sent()
    assert await post(relay(calls, sent), body, token) == status
    assert (calls.asked, sent.bodies) == ([], {})


@pytest.mark.parametrize(
    ("labels", "hours", "model"),
    [
        (BURN, 1, "m"),
        ({**BURN, "window": "6h"}, 6, "m"),
        ({**BURN, "window": "3d"}, 6, "m"),
        ({**BURN, "window": "5m"}, 0.25, "m"),
        ({**BURN, "window": "soon"}, 1, "m"),
        ({"category": "engine", "model": "a-service"}, 1, ""),
        ({"category": "gateway", "tenant": "acme"}, 1, ""),
    ],
)
def test_whose_calls(labels: dict[str, str], hours: float, model: str) -> None:
    """As far back as the burn's window, within bounds."""
    of = wanted(labels, EpochNs(100 * HOUR_NS))
    assert of is not None
    assert of.since_ns == (100 - hours) * HOUR_NS
    assert (of.model, of.tenant) == (model, labels.get("tenant", ""))


def test_nothing_to_show() -> None:
    """No calls, no lines."""
    assert examples(lambda _of: [], Filter(since_ns=EpochNs(0))) == ("", "")
