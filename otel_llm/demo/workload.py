"""What the demo's clients will do: real arrivals and lengths, and four episodes of trouble.

Arrival times, prompt and output lengths come from an excerpt of the Azure 2023 conversation trace
(`data/README.md`), lengths scaled down to the reference engine. Into the replay are woven clients
that give up in each phase of their request, calls with two samples, and a flood that the gateway
must shed. Everything is decided here, from a seed, before the first call is made.
"""

import csv
import importlib.resources
import random
from typing import Literal

import msgspec

GiveUp = Literal["never", "queue", "prefill", "decode"]

LENGTH_SCALE = 12
MAX_PROMPT = 320
MAX_OUTPUT = 48
GIANT_PROMPT = 900
FLOOD_AT = 0.45
GIVE_UP_SHARE = 0.065

TENANTS = (("acme", "gold"), ("globex", "gold"), ("initech", "standard"), ("hooli", "standard"))
_TENANT_WEIGHTS = (5, 3, 2, 1)


class PlannedCall(msgspec.Struct, frozen=True):
    """One call of the workload.

    Attributes:
        number: from 0; also the seed of its prompt.
        at_s: when to send it, in seconds after the start.
        prompt_tokens: length of the prompt.
        shared_tokens: how many of them open a prefix that other calls share.
        output_tokens: tokens to be generated per sample.
        samples: the call's `n`.
        stream: whether to ask for a stream.
        chat: chat or text completion.
        tenant: tenant tag.
        tier: the tenant's tier.
        give_up: the phase in which the client gives up.
    """

    number: int
    at_s: float
    prompt_tokens: int
    shared_tokens: int
    output_tokens: int
    samples: int
    stream: bool
    chat: bool
    tenant: str
    tier: str
    give_up: GiveUp = "never"


class Arrival(msgspec.Struct, frozen=True):
    """One row of the trace: seconds since its start, and lengths in tokens."""

    at_s: float
    prompt_tokens: int
    output_tokens: int


def arrivals(count: int) -> list[Arrival]:
    """The first `count` arrivals of the trace.

    Raises:
        ValueError: the excerpt has fewer.
    """
    source = importlib.resources.files("otel_llm.demo") / "data/azure_llm_2023_conv_excerpt.csv"
    rows = list(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))
    if count > len(rows):
        message = f"the excerpt has {len(rows)} arrivals, {count} were asked for"
        raise ValueError(message)
    return [
        Arrival(float(r["arrival_s"]), int(r["context_tokens"]), int(r["generated_tokens"]))
        for r in rows[:count]
    ]


def plan(requests: int, speedup: float = 1.0, seed: int = 1) -> list[PlannedCall]:
    """Plan `requests` calls, in order of their time.

    Args:
        requests: how many calls, episodes included.
        speedup: how much faster than real time the trace is replayed.
        seed: decides tenants, samples and who gives up.

    Raises:
        ValueError: more calls than the excerpt has arrivals, or fewer than one.
    """
    if requests < 1:
        message = f"{requests} requests: at least one is needed"
        raise ValueError(message)
    rng = random.Random(seed)  # noqa: S311  a workload, not a secret
    rows = arrivals(requests)
    quota = round(requests * GIVE_UP_SHARE)
    flood_s = rows[-1].at_s * FLOOD_AT / speedup
    flood = set(rng.sample(range(requests), min(requests, quota * 3)))
    quitters = _quitters(rng, sorted(set(range(requests)) - flood), quota)
    quitters.update(dict.fromkeys(sorted(flood)[-quota:] if quota else [], "queue"))
    calls = [
        _call(rng, number, row, flood_s if number in flood else row.at_s / speedup, quitters)
        for number, row in enumerate(rows)
    ]
    return sorted(calls, key=lambda call: (call.at_s, call.number))


def _quitters(rng: random.Random, candidates: list[int], quota: int) -> dict[int, GiveUp]:
    chosen = rng.sample(candidates, min(len(candidates), 2 * quota))
    half = len(chosen) // 2
    early: dict[int, GiveUp] = dict.fromkeys(chosen[:half], "prefill")
    return {**early, **dict.fromkeys(chosen[half:], "decode")}


def _call(
    rng: random.Random, number: int, row: Arrival, at_s: float, quitters: dict[int, GiveUp]
) -> PlannedCall:
    give_up = quitters.get(number, "never")
    prompt = min(MAX_PROMPT, max(4, row.prompt_tokens // LENGTH_SCALE))
    output = min(MAX_OUTPUT, max(2, row.output_tokens // LENGTH_SCALE))
    tenant, tier = rng.choices(TENANTS, _TENANT_WEIGHTS)[0]
    shares = give_up != "prefill" and rng.random() < 0.4
    return PlannedCall(
        number=number,
        at_s=at_s,
        prompt_tokens=GIANT_PROMPT if give_up == "prefill" else prompt,
        shared_tokens=min(prompt, 64) if shares else 0,
        # Who gives up in decode must have something left to give up.
        output_tokens=MAX_OUTPUT if give_up == "decode" else output,
        samples=2 if rng.random() < 0.1 and give_up == "never" else 1,
        stream=give_up != "never" or rng.random() < 0.8,
        chat=rng.random() < 0.6,
        tenant=tenant,
        tier=tier,
        give_up=give_up,
    )
