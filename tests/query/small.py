"""Facts with round numbers, for questions whose answers can be worked out by hand.

One hour before the sample, on other services: 10 calls, 10 tries, 8 requests, 20 steps and some
kernels within 10 seconds.
"""

from typing import Any

from tests.query.sample import (
    BASE_NS,
    GATEWAY,
    Row,
    at,
    attempt,
    call,
    engine,
    request,
    step,
)

START_MS = -3_600_000.0
START_NS = BASE_NS - 3_600_000_000_000
END_NS = START_NS + 10_000_000_000
ONE, TWO = "11" * 16, "22" * 16


def _calls() -> list[Row]:
    """Eight of acme: TTFT 100 to 800 ms, chunks 10 ms apart. Two of globex: shed, given up."""
    rows = [
        call(
            f"c{n}", START_MS + n * 1000, START_MS + n * 1000 + 1000, model="small",
            first_content=at(START_MS + n * 1000 + 100 * (n + 1)), chunks=11,
            last_content=at(START_MS + n * 1000 + 100 * (n + 1) + 100), output_tokens=50,
            inter_chunk_us=[10_000] * 9 + [10_000 * (n + 1)],
        )
        for n in range(8)
    ]  # fmt: skip
    rows[7] |= {"outcome": "failed", "error_class": "upstream_read"}
    globex = {"model": "small", "tenant": "globex", "chunks": 0}
    return [
        *rows,
        call("shed", START_MS + 100, START_MS + 101, outcome="shed", error_class="overloaded",
             **globex),
        call("left", START_MS + 200, START_MS + 300, outcome="cancelled",
             error_class="client_disconnect", **globex),
    ]  # fmt: skip


def _attempts() -> list[Row]:
    """Eight at one upstream, of which two failed and two were retries; two at another."""
    return [
        *(
            attempt(
                f"c{n}", 2 if n in (2, 3) else 1, "up-one", START_MS + n * 1000,
                START_MS + n * 1000 + 900, first_byte=at(START_MS + n * 1000 + 50),
                backoff_ns=500_000_000 if n in (2, 3) else 0,
                breaker="half_open" if n == 2 else "closed",
                **({"outcome": "failed", "error_class": "http_503"} if n in (0, 1) else {}),
            )
            for n in range(8)
        ),
        *(
            attempt(f"c{n}", 1, "up-two", START_MS + n * 1000, START_MS + n * 1000 + 10)
            for n in (2, 3)
        ),
    ]  # fmt: skip


def _requests() -> list[Row]:
    """Eight: queued 10 ms, prefill 40 ms, then 11 tokens 20 ms apart; the last was preempted."""
    rows = []
    for n in range(8):
        came = START_MS + n * 1000
        moments = (came, came, came + 10, came + 50, came + 60, came + 250, came + 260)
        rows.append(
            request(
                f"r{n}", 1, n, moments, instance_id=ONE, service="engine-one", model="small",
                tenant="acme" if n < 6 else "globex", prompt_tokens=100, output_tokens=11,
                cached_tokens=50 if n % 2 else 0,
            )
        )  # fmt: skip
    rows[7] |= {"preemptions": 2, "recomputed_tokens": 31}
    return rows


def _steps() -> list[Row]:
    """Ten of each of two instances, 100 ms apart; the first decodes 4, the second 2 at a time."""
    rows = []
    for n in range(10):
        for instance, members in ((ONE, 4), (TWO, 2)):
            start = START_MS + n * 100
            batch = [(m, 1, 1, 10) for m in range(members)]
            row = step("a1" * 16, n + 1, start, start + 20, batch)
            row |= {
                "instance_id": instance, "service": "engine-one", "model": "small",
                "waiting": n if instance == ONE else 0, "kv_used": 10 * n, "kv_total": 100,
            }  # fmt: skip
            rows.append(row)
    return rows


def _kernels() -> list[Row]:
    """Three launches of 2 ms, one of 4 ms, on two devices."""
    base: Row = {
        "instance_id": ONE, "service": "engine-one", "host": "node-1", "dp_rank": 0,
        "step_seq": 1, "source": "cupti",
        **{k: v for k, v in engine("a1" * 16).items() if k.startswith(("boot", "clock"))},
    }  # fmt: skip
    gemm: dict[str, Any] = {"name": "gemm", "duration_ns": 2_000_000}
    attention = {"name": "attention", "duration_ns": 4_000_000, "device": "gpu-0"}
    return [
        *({**base, **gemm, "device": f"gpu-{n % 2}", "start": at(START_MS + n)} for n in range(3)),
        {**base, **attention, "start": at(START_MS + 5)},
    ]


def _events() -> list[Row]:
    """A gateway that started, and one that died."""
    base = {"instance_id": GATEWAY, "service": "gateway", "host": "node-1", "kind": "gateway"}
    return [
        {**base, "event": "started", "time": at(START_MS + 1)},
        {**base, "event": "died", "time": at(START_MS + 2), "requests_in_flight": ["c0", "c1"],
         "lost_records": 3},
    ]  # fmt: skip


def rows() -> dict[str, list[Row]]:
    """All rows by table."""
    return {
        "llm_gateway_calls": _calls(),
        "llm_attempts": _attempts(),
        "llm_requests": _requests(),
        "llm_steps": _steps(),
        "llm_kernels": _kernels(),
        "llm_engine_events": _events(),
    }
