"""The chargeback report, on amounts that can be added up by hand."""

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from otel_llm.clock import EpochNs
from otel_llm.energy.cost import Intensity, Prices
from otel_llm.query.energy import By, Line, Report, energy
from otel_llm.query.journey import load
from otel_llm.query.recent import Filter, recent
from otel_llm.query.window import Window
from tests.query.joules import amount, at, line
from tests.query.sample import BASE_NS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

HOUR_MS = 3_600_000.0
FREE = Prices()
FAR = Window(since_ns=EpochNs(BASE_NS + 2 * 3_600_000_000_000),
             until_ns=EpochNs(BASE_NS + 9 * 3_600_000_000_000))  # fmt: skip
"""Hours in which the sample has nothing else."""


@pytest.fixture(scope="module", autouse=True)
def _energy(store: "Client") -> None:
    start = 3 * HOUR_MS
    two = "b" * 32
    rows: dict[str, list[dict[str, Any]]] = {
        "llm_request_energy": [
            amount(two, 1, start, 1000, 3000),
            amount(two, 1, start, 0, 500, device="GPU-b"),
            amount(two, 2, start + 10, 2000, 0, tenant="beta"),
            amount(two, 3, start + HOUR_MS, 400, 600, model="big"),
        ],
        "gpu_energy_ledger": [
            line(start - 500, 6500, 2000, 500),
            line(
                start + HOUR_MS - 500,
                1000,
                1000,
                0,
                incomplete=True,
                source="replay",
                flags=["reset", "gap"],
            ),
        ],
    }
    tokens = [(1, "acme", "tiny", start, 100), (2, "beta", "tiny", start + 10, 0),
              (3, "acme", "big", start + HOUR_MS, 50)]  # fmt: skip
    rows["llm_requests"] = [
        {
            "instance_id": two, "request_index": index, "tenant": tenant, "model": model,
            "service": "svc", "arrival": at(ended - 5), "finished": at(ended), "prompt_tokens": 10,
            "cached_tokens": 4, "output_tokens": output,
        }
        for index, tenant, model, ended, output in tokens
    ]  # fmt: skip
    for table, lines in rows.items():
        body = "\n".join(json.dumps(row) for row in lines)
        store.raw_insert(table, insert_block=body.encode(), fmt="JSONEachRow")


def ask(store: "Client", *by: By, prices: Prices = FREE, **changes: Any) -> Report:  # noqa: ANN401
    """The report of the far window."""
    return energy(store, msgspec.structs.replace(FAR, **changes), by, prices)


def test_amounts_add_up_by_tenant(store: "Client") -> None:
    """Amounts on several devices are one request's; lines come by energy, most first."""
    report = ask(store, "tenant")
    told = [(one.tenant, one.requests, one.tokens, one.energy_j) for one in report.lines]
    assert told == [("acme", 2, 150, 5.5), ("beta", 1, 0, 2.0)]
    first, second = report.lines
    assert first.energy_per_token_j == pytest.approx(5.5 / 150)
    assert second.energy_per_token_j is None
    assert first.error_j == pytest.approx(0.55)
    assert first.device_s == pytest.approx(11.0)
    assert (first.money, first.co2_g, first.model, first.phase) == (None, None, "", "")


def test_by_phase_and_model(store: "Client") -> None:
    """Phases share a request's energy, error and device time; prefill counts prompts' tokens."""
    report = ask(store, "model", "phase")
    told = {(one.model, one.phase): one for one in report.lines}
    assert {key: one.energy_j for key, one in told.items()} == {
        ("tiny", "prefill"): 3.0, ("tiny", "decode"): 3.5,
        ("big", "prefill"): 0.4, ("big", "decode"): 0.6,
    }  # fmt: skip
    assert told["tiny", "prefill"].tokens == 12
    assert told["tiny", "decode"].tokens == 100
    assert sum(one.device_s for one in report.lines) == pytest.approx(15.0)


def test_the_account_is_reconciled(store: "Client") -> None:
    """Ledger and rows are told apart, with what does not agree, and what is no measurement."""
    whole = ask(store, "tenant", tenant="beta").reconciliation
    assert (whole.windows, whole.incomplete, whole.devices) == (2, 1, 1)
    assert (whole.delta_j, whole.attributed_j, whole.idle_j, whole.unattributed_j) == (
        11.0, 7.5, 3.0, 0.5,
    )  # fmt: skip
    assert (whole.charged_j, whole.residual_j) == (7.5, 0.0)
    assert whole.sources == ["nvml", "replay"]
    assert whole.flags == ["gap", "reset"]


def test_what_does_not_agree_is_told(store: "Client") -> None:
    """Energy of a request that ended outside of the time is a residual, not hidden."""
    late = EpochNs(BASE_NS + round((3 * HOUR_MS + HOUR_MS / 2) * 1e6))
    whole = ask(store, "tenant", until_ns=late).reconciliation
    assert (whole.attributed_j, whole.charged_j, whole.residual_j) == (6.5, 6.5, 0.0)
    early = EpochNs(BASE_NS + round((3 * HOUR_MS + 5) * 1e6))
    whole = ask(store, "tenant", until_ns=early).reconciliation
    assert whole.residual_j == pytest.approx(0.0 - 4.5)


def test_money_and_carbon(store: "Client") -> None:
    """Energy is priced with the site's overhead, devices by the hour, carbon by its hour."""
    base = BASE_NS / 1e9
    grid = Intensity([base, base + 3.5 * 3600], [100.0, 1000.0])
    prices = Prices(per_kwh=3.6e6, pue=1.5, intensity=grid, per_device_hour=3600.0, currency="EUR")
    report = ask(store, "tenant", prices=prices)
    acme = report.lines[0]
    assert report.currency == "EUR"
    # A joule costs 1.5, a second of a device 1.
    assert acme.money == pytest.approx(5.5 * 1.5 + 11.0)
    assert acme.money_per_million == pytest.approx((5.5 * 1.5 + 11.0) / 150 * 1e6)
    assert acme.money_per_request == pytest.approx((5.5 * 1.5 + 11.0) / 2)
    assert acme.co2_g_per_request == pytest.approx((acme.co2_g or 0) / 2)
    assert acme.co2_g == pytest.approx((4.5 * 100 + 1.0 * 1000) * 1.5 / 3.6e6)
    assert acme.kwh == pytest.approx(5.5 * 1.5 / 3.6e6)
    assert report.reconciliation.overhead_money == pytest.approx(3.5 * 1.5)


def test_idle_has_a_name_of_its_own(store: "Client") -> None:
    """Amortised idle energy is beside a line's energy, and adds up to what was idle."""
    report = ask(store, "tenant")
    assert sum(one.amortised_idle_j for one in report.lines) == pytest.approx(3.0)
    assert sum(one.energy_j for one in report.lines) == 7.5


def test_nothing_happened(store: "Client") -> None:
    """An empty time has no lines and a ledger of nothing."""
    empty = ask(store, "tenant", since_ns=EpochNs(1), until_ns=EpochNs(2))
    assert (empty.lines, empty.reconciliation.windows, empty.reconciliation.delta_j) == ([], 0, 0.0)


def test_every_field_is_told(store: "Client") -> None:
    """The report can be written as JSON, each line with every field."""
    told = json.loads(msgspec.json.encode(ask(store, "tenant", "model", "service", "phase")))
    assert set(told["lines"][0]) == set(Line.__struct_fields__)


def test_a_journey_has_joules(store: "Client") -> None:
    """A call's requests are charged in `trace` and in `requests`; others have none."""
    wanted = Filter(since_ns=EpochNs(BASE_NS - 1), limit=1000)
    before = {one.id: one for one in recent(store, wanted)}
    [one] = [one for one in before.values() if one.requests == 1 and one.kind == "call"][:1]
    assert one.energy_j is None
    from otel_llm.query.identify import identify

    [match] = identify(store, one.id, "")
    journey = load(store, match)
    assert journey.energy == []
    request = journey.requests[0]
    charged = amount(
        request.instance_id, request.request_index, 0, 250, 750, trace_id=request.trace_id
    )
    store.raw_insert(
        "llm_request_energy", insert_block=json.dumps(charged).encode(), fmt="JSONEachRow"
    )
    [told] = load(store, match).energy
    assert (told.energy_j, told.prefill_j, told.methods, told.scope) == (
        1.0, 0.25, ["counter"], "all",
    )  # fmt: skip
    after = {one.id: one.energy_j for one in recent(store, wanted)}
    assert after[one.id] == 1.0
    assert [key for key in after if after[key] != before[key].energy_j] == [one.id]
