"""What the demo's clients will do: real arrivals and lengths, and some trouble woven in.

Arrival times, prompt and output lengths come from an excerpt of the Azure 2023 conversation trace
(`data/README.md`), lengths scaled down to the reference engine. Into the replay are woven clients
that give up in each phase of their request, calls with two samples, and a flood that the gateway
must shed. Everything is decided here, from a seed, before the first call is made.
"""

import csv
import importlib.resources
import random
from typing import Literal, NamedTuple

import msgspec

GiveUp = Literal["never", "queue", "prefill", "decode"]

LENGTH_SCALE = 8
MAX_PROMPT = 600
MAX_OUTPUT = 72
LONG_OUTPUT = 400
GIANT_PROMPT = 1700
GIVE_UP_SHARE = 0.075
FLOOD_AT = 0.45
FLOOD_WAVES_S = (0.0, 0.4, 0.9)
"""First the seats fill, then come those who give up in the queue, then those who are shed."""
QUITTERS_WITHIN_S = 0.4
"""Who gives up in the queue comes and leaves one after the other, so that few are there at once."""

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
        message = f"the excerpt has {len(rows)} arrivals, {count} were asked for; ask for fewer"
        raise ValueError(message)
    return [
        Arrival(float(r["arrival_s"]), int(r["context_tokens"]), int(r["generated_tokens"]))
        for r in rows[:count]
    ]


def quota(requests: int) -> int:
    """How many of so many calls are given up in each phase, and how many a flood's wave has."""
    return round(requests * GIVE_UP_SHARE)


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
    flood_s = rows[-1].at_s * FLOOD_AT / speedup
    roles = _roles(rng, requests)
    calls = []
    for number, row in enumerate(rows):
        role = roles.get(number, _Role())
        at_s = row.at_s / speedup if role.wave is None else flood_s + role.after_s
        calls.append(_call(rng, number, row, at_s, role))
    return sorted(calls, key=lambda call: (call.at_s, call.number))


class _Role(NamedTuple):
    """What an episode makes of a call: its wave of the flood, its time in it, when it gives up."""

    wave: int | None = None
    after_s: float = 0.0
    give_up: GiveUp = "never"


def _roles(rng: random.Random, requests: int) -> dict[int, _Role]:
    """Disjoint groups of calls, by number: three waves, and two kinds of clients that give up."""
    each = quota(requests)
    fill, leave, excess = FLOOD_WAVES_S
    roles = [
        *[_Role(0, fill)] * each,
        *(_Role(1, leave + QUITTERS_WITHIN_S * k / each, "queue") for k in range(each)),
        *[_Role(2, excess)] * (each * 3 // 2),
        *[_Role(give_up="prefill")] * each,
        *[_Role(give_up="decode")] * each,
    ]
    return dict(zip(rng.sample(range(requests), len(roles)), roles, strict=True))


def _call(rng: random.Random, number: int, row: Arrival, at_s: float, role: _Role) -> PlannedCall:
    prompt = min(MAX_PROMPT, max(4, row.prompt_tokens // LENGTH_SCALE))
    output = min(MAX_OUTPUT, max(2, row.output_tokens // LENGTH_SCALE))
    tenant, tier = rng.choices(TENANTS, _TENANT_WEIGHTS)[0]
    giant = role.give_up == "prefill"
    ordinary = role == _Role()
    # Who fills a seat must keep it; who gives up in decode must have something left to give up.
    long = role.wave == 0 or role.give_up == "decode"
    return PlannedCall(
        number=number,
        at_s=at_s,
        prompt_tokens=GIANT_PROMPT if giant else prompt,
        shared_tokens=min(prompt, 64) if not giant and rng.random() < 0.4 else 0,
        output_tokens=LONG_OUTPUT if long else output,
        samples=2 if rng.random() < 0.1 and ordinary else 1,
        stream=not ordinary or rng.random() < 0.8,
        chat=rng.random() < 0.6,
        tenant=tenant,
        tier=tier,
        give_up=role.give_up,
    )
