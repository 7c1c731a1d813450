"""Questions about a window, on facts whose answers can be worked out by hand."""

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from otel_llm.alert_rules import specs
from otel_llm.alert_rules.model import Ratio, Without
from otel_llm.clock import EpochNs
from otel_llm.gateways.targets import CALLERS_FAULTS
from otel_llm.query import fleet, longrange, service, sql, usage
from otel_llm.query.catalogue import questions
from otel_llm.query.service import Objective
from otel_llm.query.window import Window
from tests.query import small
from tests.query.sample import BASE_NS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.query.conftest import Snapshot

SMALL = Window(since_ns=EpochNs(small.START_NS), until_ns=EpochNs(small.END_NS))
SAMPLE = Window(since_ns=EpochNs(BASE_NS), until_ns=EpochNs(BASE_NS + 1_000_000_000))
ALL = questions(Objective(ttft_s=0.1, itl_s=0.02, e2e_s=0.5))
MINUTE_NS = 60 * 10**9
MINUTES = {"traffic", "usage"}
"""Questions to the rollups, which know nothing shorter than a minute."""

CLOSE = 1 / 128
"""Quantiles are values cut to 8 significant bits."""


@pytest.fixture(scope="module", autouse=True)
def _small(store: "Client") -> None:
    for table, lines in small.rows().items():
        body = "\n".join(json.dumps(line) for line in lines)
        store.raw_insert(table, insert_block=body.encode(), fmt="JSONEachRow")


def parts(row: msgspec.Struct, *names: str) -> tuple[Any, ...]:
    """Some fields of a row."""
    return tuple(getattr(row, name) for name in names)


def cut(window: Window, **changes: Any) -> Window:  # noqa: ANN401
    """A window with some of it changed."""
    return msgspec.structs.replace(window, **changes)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("every", ["", "500ms"])
def test_answers_on_the_sample(
    store: "Client", snapshot: "Snapshot", name: str, every: str
) -> None:
    """Each question's answer is that of the last time, whole and cut into stretches."""
    window = cut(SAMPLE, every_ns=500_000_000 if every else 0)
    answer = ALL[name].answer(store, window)
    assert all(type(row) is ALL[name].row for row in answer)
    lines = "".join(msgspec.json.encode(row).decode() + "\n" for row in answer)
    snapshot(f"question-{name}{'-every' if every else ''}.jsonl", lines)


@pytest.mark.parametrize("name", ALL)
def test_an_empty_window_has_no_rows(store: "Client", name: str) -> None:
    """Where nothing happened, nothing is told; not a row of zeros."""
    nothing = Window(since_ns=EpochNs(1_000_000_000), until_ns=EpochNs(2_000_000_000))
    assert list(ALL[name].answer(store, nothing)) == []


@pytest.mark.parametrize("name", [name for name, q in ALL.items() if "every" in q.parts])
def test_stretches_begin_at_multiples_and_stay_in_the_window(store: "Client", name: str) -> None:
    """A window that begins within a stretch has that stretch in it, with its own part alone."""
    since = EpochNs(small.START_NS + 500_000_000)
    window = cut(SMALL, since_ns=since, every_ns=2_000_000_000)
    answer = ALL[name].answer(store, window)
    starts = sorted({row.start_ns for row in answer})  # type: ignore[attr-defined]
    assert starts
    assert all(start % 2_000_000_000 == 0 for start in starts)
    assert starts[0] <= since
    assert starts[-1] < window.until_ns


@pytest.mark.parametrize(
    ("name", "part"), [(n, p) for n, q in ALL.items() for p in q.parts if p != "every"]
)
def test_a_filter_leaves_nothing_of_others(store: "Client", name: str, part: str) -> None:
    """A service, tenant or model that is not there has no rows."""
    assert ALL[name].answer(store, SMALL)
    assert list(ALL[name].answer(store, cut(SMALL, **{part: "no-such"}))) == []


@pytest.mark.parametrize("name", ALL)
def test_a_limit_holds(store: "Client", name: str) -> None:
    """No more rows than asked for."""
    assert len(ALL[name].answer(store, cut(SMALL, limit=1))) == 1


@pytest.mark.parametrize(
    "name", [n for n, q in ALL.items() if "every" in q.parts and n not in MINUTES]
)
def test_a_limit_leaves_out_the_oldest(store: "Client", name: str) -> None:
    """Stretches come newest first, so that the newest are what a limit keeps."""
    window = cut(SMALL, every_ns=100_000_000)
    whole = ALL[name].answer(store, window)
    starts = [row.start_ns for row in whole]  # type: ignore[attr-defined]
    assert starts == sorted(starts, reverse=True)
    assert starts[0] > starts[-1]
    assert ALL[name].answer(store, cut(window, limit=2)) == whole[:2]


def test_latency(store: "Client") -> None:
    """TTFT 100 to 800 ms; ten gaps in 100 ms from the first chunk to the last; calls take 1 s."""
    acme, globex = service.latency(store, SMALL)
    assert parts(acme, "tenant", "model", "calls") == ("acme", "small", 8)
    found = parts(acme, "ttft_p50_s", "ttft_p99_s", "gap_p50_s", "gap_p99_s", "e2e_p50_s")
    assert found == pytest.approx((0.4, 0.8, 0.01, 0.01, 1.0), rel=CLOSE)
    assert parts(globex, "calls", "ttft_p50_s", "gap_p50_s", "e2e_p50_s") == (2, None, None, None)


def test_chunks(store: "Client") -> None:
    """Of 80 waits 73 are of 10 ms, the others of 20 to 80: a mean would hide them."""
    [acme] = service.chunks(store, SMALL)
    assert parts(acme, "tenant", "calls", "chunks") == ("acme", 8, 88)
    found = parts(acme, "itl_p50_s", "itl_p95_s", "itl_p99_s")
    assert found == pytest.approx((0.01, 0.04, 0.08), rel=CLOSE)


def test_errors(store: "Client") -> None:
    """One of acme's eight failed; one of globex's two was shed, the other given up."""
    acme, globex = service.errors(store, SMALL)
    assert parts(acme, "tenant", "calls", "finished", "failed") == ("acme", 8, 7, 1)
    assert parts(acme, "error_ratio", "shed_ratio", "classes") == (1 / 8, 0, {"upstream_read": 1})
    assert parts(globex, "shed", "cancelled", "error_ratio", "shed_ratio") == (1, 1, 0, 0.5)
    assert globex.classes == {"client_disconnect": 1, "overloaded": 1}


@pytest.mark.parametrize(
    ("objective", "good"),
    [
        (Objective(), 7),
        (Objective(ttft_s=0.35), 3),
        (Objective(ttft_s=0.3), 3),
        (Objective(ttft_s=0.299), 2),
        (Objective(itl_s=0.01), 7),
        (Objective(itl_s=0.0099), 0),
        (Objective(e2e_s=0.999), 0),
        (Objective(e2e_s=1.0), 7),
    ],
)
def test_slo(store: "Client", objective: Objective, good: int) -> None:
    """TTFT 100 to 800 ms, chunks 10 ms apart, duration 1 s: a limit met exactly is kept to."""
    [acme] = [row for row in service.slo(store, SMALL, objective) if row.tenant == "acme"]
    assert parts(acme, "counted", "good", "good_ratio") == (8, good, good / 8)
    assert acme.good_calls_per_s == pytest.approx(good / 10)
    assert acme.good_tokens_per_s == pytest.approx(good * 5)


def test_a_call_given_up_counts_once_the_objective_is_missed(store: "Client") -> None:
    """Given up after 100 ms without content: no fault within 0.2 s, a miss past 0.05 s."""
    patient, hasty = Objective(ttft_s=0.2), Objective(ttft_s=0.05)
    globex = cut(SMALL, tenant="globex")
    assert parts(service.slo(store, globex, patient)[0], "counted", "good") == (1, 0)
    assert parts(service.slo(store, globex, hasty)[0], "counted", "good") == (2, 0)


@pytest.mark.parametrize("name", ["slo", "boards/burn", "boards/burners"])
def test_what_callers_ask_wrongly_is_one_list(name: str) -> None:
    """Objectives that alert, the gateway's targets and statements excuse the same statuses."""
    (listed,) = re.findall(r"status_code, 0\) IN \(([^)]*)\)", sql.text(name))
    assert {int(status) for status in listed.split(", ")} == CALLERS_FAULTS
    (availability,) = [slo for slo in specs.load() if slo.name == "availability"]
    assert isinstance(availability.indicator, Ratio)
    excused = availability.indicator.bad[1]["status_code"]
    assert isinstance(excused, Without)
    assert {int(status) for status in excused.without} == CALLERS_FAULTS


def test_a_call_without_chunks_misses_no_wait_between_them(store: "Client") -> None:
    """No chunks, no time between them: the call that was given up misses nothing."""
    [globex] = service.slo(store, cut(SMALL, tenant="globex"), Objective(itl_s=0.001))
    assert globex.counted == 1


def test_upstreams(store: "Client") -> None:
    """Of eight tries two failed and two were retries, each after half a second."""
    one, two = service.upstreams(store, SMALL)
    assert parts(one, "upstream", "attempts", "retries", "failed") == ("up-one", 8, 2, 2)
    assert parts(one, "failed_ratio", "breaker_not_closed", "backoff_s") == (0.25, 1, 1.0)
    assert one.classes == {"http_503": 2}
    assert one.first_byte_p95_s == pytest.approx(0.05, rel=CLOSE)
    assert parts(two, "upstream", "attempts", "failed", "first_byte_p50_s") == (
        "up-two", 2, 0, None,
    )  # fmt: skip


def test_engines(store: "Client") -> None:
    """Ten steps of four and of two decode tokens in ten seconds; each step took 20 ms."""
    one, two = fleet.engines(store, SMALL)
    assert parts(one, "instance_id", "steps_per_s", "decode_tokens_per_s") == (small.ONE, 1, 4)
    assert parts(one, "prefill_tokens_per_s", "batch_mean", "batch_max") == (0, 4, 4)
    assert one.step_p50_s == pytest.approx(0.02, rel=CLOSE)
    assert parts(two, "instance_id", "decode_tokens_per_s", "batch_mean") == (small.TWO, 2, 2)


def test_rates_are_over_the_part_of_a_stretch_in_the_window(store: "Client") -> None:
    """Five of the ten steps lie in the half second asked for, and in a stretch of an hour."""
    half = cut(SMALL, until_ns=EpochNs(small.START_NS + 500_000_000), every_ns=3_600_000_000_000)
    assert [row.steps_per_s for row in fleet.engines(store, half)] == [10, 10]


def test_pressure(store: "Client") -> None:
    """0 to 9 wait at the first instance, nobody at the second; KV use goes from 0 to 90 %."""
    one, two = fleet.pressure(store, SMALL)
    assert parts(one, "steps", "waiting_mean", "waiting_max") == (10, 4.5, 9)
    assert parts(one, "running_mean", "running_max") == (4, 4)
    assert parts(one, "kv_mean_ratio", "kv_max_ratio") == pytest.approx((0.45, 0.9))
    assert parts(two, "waiting_mean", "waiting_max") == (0, 0)


def test_preemptions(store: "Client") -> None:
    """One of eight, twice: 31 tokens again beside 800 of prompts, 200 cached, and 88 of output."""
    [row] = fleet.preemptions(store, SMALL)
    assert parts(row, "requests", "preempted", "preemptions", "recomputed_tokens") == (8, 1, 2, 31)
    assert row.recomputed_ratio == pytest.approx(31 / (800 - 200 + 88 + 31))


def test_stages(store: "Client") -> None:
    """Every request has the same: queue 10, prefill 40, first output 60, 20 per token, end 260."""
    [row] = fleet.stages(store, SMALL)
    assert parts(row, "service", "model", "requests") == ("engine-one", "small", 8)
    found = parts(row, "queue_p95_s", "prefill_p50_s", "ttft_p50_s", "tpot_p95_s", "e2e_p50_s")
    assert found == pytest.approx((0.01, 0.04, 0.06, 0.02, 0.26), rel=CLOSE)


def test_tenants(store: "Client") -> None:
    """Six requests of 111 tokens each of acme, two of globex."""
    acme, globex = usage.tenants(store, SMALL)
    assert parts(acme, "tenant", "requests", "prompt_tokens", "output_tokens") == (
        "acme", 6, 600, 66,
    )  # fmt: skip
    assert (acme.cached_tokens, globex.recomputed_tokens) == (150, 31)
    assert (acme.token_ratio, globex.token_ratio) == pytest.approx((0.75, 0.25))


def test_cache(store: "Client") -> None:
    """Every other request had half of its prompt from the cache."""
    acme, globex = usage.cache(store, SMALL)
    assert parts(acme, "requests", "hits", "prompt_tokens", "cached_tokens") == (6, 3, 600, 150)
    assert (acme.hit_ratio, globex.hit_ratio) == (0.25, 0.25)


def whole_minutes() -> Window:
    """The minutes in which what is in SMALL began and ended."""
    since = small.START_NS // MINUTE_NS * MINUTE_NS
    return Window(since_ns=EpochNs(since), until_ns=EpochNs(small.END_NS + 2 * MINUTE_NS))


def test_traffic_is_what_the_calls_add_up_to(store: "Client") -> None:
    """The rollup of calls gives the numbers that the calls themselves give."""
    window = whole_minutes()
    base = {(row.model, row.tenant): row for row in service.errors(store, window)}
    waits = {(row.model, row.tenant): row for row in service.latency(store, window)}
    rolled = {(row.model, row.tenant): row for row in longrange.traffic(store, window)}
    assert rolled.keys() == base.keys()
    assert len(rolled) >= 2
    for key, row in rolled.items():
        names = ("calls", "finished", "shed", "cancelled")
        assert parts(row, *names) == parts(base[key], *names)
        assert row.failed == base[key].failed + base[key].died
        wait = waits[key].ttft_p50_s
        assert row.ttft_p50_s == (None if wait is None else pytest.approx(wait, rel=0.03))


def test_usage_is_what_the_requests_add_up_to(store: "Client") -> None:
    """The rollup of requests gives the sums that the requests themselves give."""
    window = whole_minutes()
    names = ("requests", "prompt_tokens", "cached_tokens", "output_tokens", "recomputed_tokens")
    base = {row.tenant: parts(row, *names) for row in usage.tenants(store, window)}
    rolled = {row.tenant: parts(row, *names) for row in longrange.usage(store, window)}
    assert rolled == base
    assert len(rolled) == 2
    [stage] = fleet.stages(store, window)
    for row in longrange.usage(store, window):
        found = parts(row, "ttft_p50_s", "ttft_p95_s", "tpot_p50_s")
        assert found == pytest.approx(
            (stage.ttft_p50_s, stage.ttft_p95_s, stage.tpot_p50_s), rel=0.03
        )


def test_a_stretch_of_days_holds_its_minutes(store: "Client") -> None:
    """Cut into days, the stretches add up to the whole."""
    window = whole_minutes()
    days = longrange.traffic(store, cut(window, every_ns=86_400 * 10**9))
    assert sum(row.calls for row in days) == sum(r.calls for r in longrange.traffic(store, window))
    assert {row.start_ns % (86_400 * 10**9) for row in days} == {0}


def test_deaths(store: "Client") -> None:
    """The one that died, not the one that started."""
    [row] = fleet.deaths(store, SMALL)
    assert parts(row, "kind", "service", "time_ns") == (
        "gateway", "gateway", small.START_NS + 2_000_000,
    )  # fmt: skip
    assert parts(row, "steps_in_flight", "in_flight", "lost_records") == (0, ["c0", "c1"], 3)


def test_kernels(store: "Client") -> None:
    """Three of 2 ms on two devices, one of 4 ms."""
    gemm, attention = fleet.kernels(store, SMALL)
    assert parts(gemm, "name", "launches") == ("gemm", 3)
    assert parts(gemm, "total_s", "time_ratio", "mean_s") == pytest.approx((0.006, 0.6, 0.002))
    assert parts(attention, "name", "longest_s", "time_ratio") == ("attention", 0.004, 0.4)
