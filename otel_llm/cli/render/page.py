"""The whole answer to `otel-llm trace`: what it was, the waterfall, where the time went."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from otel_llm.cli.render import rows, waterfall
from otel_llm.cli.render.text import Glyphs, clean, count, duration, joined, joules, percentages
from otel_llm.query.journey import Journey
from otel_llm.query.tokens import Tokens

if TYPE_CHECKING:
    from rich.text import Text

_MOST_WIDTH = 200


def journey_lines(journey: Journey, width: int, glyphs: Glyphs) -> "Iterator[Text]":
    """All lines of a journey.

    Args:
        journey: from `otel_llm.query.journey.load`.
        width: terminal cells.
        glyphs: characters to use.
    """
    from rich.text import Text

    width = min(width, _MOST_WIDTH)
    yield from _heading(journey, width, glyphs)
    yield Text("")
    tree = waterfall.build(journey, glyphs)
    yield from rows.lines(tree, width, waterfall.span(journey), glyphs)
    yield Text("")
    yield from _where(journey, width, glyphs)
    if journey.energy:
        yield from _wrapped(_energy(journey), width, "bold")
    for note in [*_deaths(journey, glyphs), *journey.notes]:
        yield from _wrapped(f"! {clean(note, glyphs)}", width, "yellow")


def _heading(journey: Journey, width: int, glyphs: Glyphs) -> "Iterator[Text]":
    from rich.text import Text

    call = journey.call
    if call is not None:
        title = ("call", call.call_id)
        facts = [f"{call.method} {call.route}", call.model, "stream" if call.stream else ""]
        ended = [call.outcome, str(call.status_code or ""), call.error_class]
        tenant, tier, trace = call.tenant, call.tier, call.trace_id
    else:
        one = journey.requests[0]
        title = ("request", one.request_id)
        facts = [one.operation, one.model, one.engine]
        ended = [one.outcome, one.finish_reason, one.error_type]
        tenant, tier, trace = one.tenant, one.tier, one.trace_id
    outcome = clean(" ".join(part for part in ended if part), glyphs)
    yield Text.assemble(
        (f"{title[0]} {clean(title[1], glyphs)}", "bold"),
        "  ",
        (outcome, "green" if ended[0] == "finished" else "red"),
    )
    facts.append(f"tenant {tenant} ({tier})" if tier else f"tenant {tenant}")
    if trace:
        facts.append(f"trace {trace}")
    facts += _tokens(journey.tokens)
    if call is not None and call.chunks:
        facts.append(count(call.chunks, "chunk"))
    for line in joined((clean(fact, glyphs) for fact in facts if fact), width, glyphs):
        yield Text(line)


def _tokens(tokens: Tokens) -> Iterator[str]:
    if tokens.source == "none":
        yield "tokens unknown"
        return
    prompt = "?" if tokens.prompt is None else f"{tokens.prompt:,}"
    output = "?" if tokens.output is None else f"{tokens.output:,}"
    cached = f" ({tokens.cached:,} cached)" if tokens.cached else ""
    source = "(usage)" if tokens.source == "usage" else "(engine)"
    yield f"{prompt} prompt{cached} + {output} output tokens {source}"


def _where(journey: Journey, width: int, glyphs: Glyphs) -> "Iterator[Text]":
    """The last line: parts of the duration in percent, which add up to 100."""
    total = journey.breakdown.total_ns
    parts = [part for part in journey.breakdown.parts if part.duration_ns]
    shares = percentages([part.duration_ns for part in parts], total)
    named = [
        f"{part.name.replace('_', ' ')} {share:.1f}%"
        for part, share in zip(parts, shares, strict=True)
        if share
    ]
    text = f"Where {duration(total, glyphs)} went: " + ", ".join(named or ["nowhere"])
    yield from _wrapped(text, width, "bold")


_UNMEASURED = {"replay": "replayed, not measured here", "estimate": "estimated, not measured"}


def _energy(journey: Journey) -> str:
    """What its requests were charged, and how far that can be trusted."""
    told = journey.energy
    whole = sum(one.energy_j for one in told)
    prefill, decode = sum(one.prefill_j for one in told), sum(one.decode_j for one in told)
    parts = [f"prefill {joules(prefill)}, decode {joules(decode)}"]
    output = sum(one.output_tokens for one in journey.requests)
    if output:
        parts.append(f"{joules(whole / output)} per output token")
    if whole:
        parts.append(f"within {sum(one.error_j for one in told) / whole:.0%}")
    parts.append("by " + "/".join(sorted({name for one in told for name in one.sharings})))
    sources = sorted({name for one in told for name in one.sources})
    parts += [_UNMEASURED[name] for name in sources if name in _UNMEASURED]
    if any(one.scope == "local" for one in told):
        parts.append("devices of other nodes not included")
    if any(one.incomplete for one in told):
        parts.append("incomplete")
    return f"Energy: {joules(whole)} ({'; '.join(parts)})"


def _deaths(journey: Journey, glyphs: Glyphs) -> Iterator[str]:
    start, _ = waterfall.span(journey)
    services = {engine.instance_id: engine.service for engine in journey.engines}
    for death in journey.deaths:
        who = services.get(death.instance_id, "the gateway")
        when = duration(max(death.time_ns - start, 0), glyphs)
        left = f", steps in flight: {_numbers(death.steps_in_flight)}"
        yield f"{who} died at {when}{left if death.steps_in_flight else ''}."


def _numbers(values: list[int]) -> str:
    return ", ".join(str(value) for value in values[:5]) + (", ..." if len(values) > 5 else "")


def _wrapped(text: str, width: int, style: str) -> "Iterator[Text]":
    import textwrap

    from rich.text import Text

    for line in textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False):
        yield Text(line, style=style)
