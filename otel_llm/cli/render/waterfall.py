"""A journey as a tree of rows: call, attempts, requests, phases, steps, kernels."""

from collections.abc import Iterator, Sequence

from otel_llm.cli.render.lane import Value
from otel_llm.cli.render.rows import Course, Moment, Row, Share, Wait, Whole, Work
from otel_llm.cli.render.text import Glyphs, count, duration
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL
from otel_llm.query.journey import EngineWork, Journey
from otel_llm.query.ownership import attempt_of
from otel_llm.query.phases import Phase, phases
from otel_llm.query.rows import Attempt, Request, Step
from otel_llm.query.summary import own_work, summarise

MOST_REQUESTS = 8
MOST_KERNELS = 6

_STYLES = {
    "intake": "blue",
    "queue": "yellow",
    "prefill": "cyan",
    "decode": "green",
    "delivery": "blue",
    "unexplained": "dim",
}
_BAD = "red"
_MOMENT = "magenta"


def build(journey: Journey, glyphs: Glyphs) -> Row:
    """Make the tree of a journey's rows.

    Args:
        journey: from `otel_llm.query.journey.load`.
        glyphs: characters that texts may use.
    """
    call = journey.call
    if call is None:
        children = [*_requests(journey, None), *_engines(journey, None)]
        return Row("requests", Whole(*span(journey)), "blue", (), children)
    children = []
    if call.first_content_ns is not None:
        moment = Moment(call.arrival_ns, call.first_content_ns)
        children.append(Row("TTFT_caller", moment, _MOMENT))
    children += [_attempt(journey, attempt, glyphs) for attempt in journey.attempts]
    children += [*_requests(journey, None), *_engines(journey, None)]
    style = "blue" if call.outcome == "finished" else _BAD
    return Row("call", Whole(call.arrival_ns, call.finished_ns), style, (), children)


def span(journey: Journey) -> tuple[int, int]:
    """What the lanes span: the call, or its requests where no call is known. Wall nanoseconds.

    Requests may outlive a call that its caller broke off; the call sets the end all the same.
    """
    if journey.call is not None:
        return journey.call.arrival_ns, journey.call.finished_ns
    starts = [request.arrival_ns for request in journey.requests]
    ends = [request.finished_ns for request in journey.requests]
    return min(starts, default=0), max(ends, default=0)


def _attempt(journey: Journey, attempt: Attempt, glyphs: Glyphs) -> Row:
    details = [_ended(attempt.outcome, attempt.status_code, attempt.error_class)]
    details.append(f"breaker {attempt.breaker}")
    if attempt.backoff_ns:
        details.append(f"after {duration(attempt.backoff_ns, glyphs)} backoff")
    children = [*_requests(journey, attempt), *_engines(journey, attempt)]
    return Row(
        f"attempt {attempt.attempt} {attempt.upstream}",
        Whole(attempt.started_ns, attempt.finished_ns),
        _BAD if attempt.outcome == "failed" else "blue",
        details,
        children,
    )


def _ended(outcome: str, status: int | None, reason: str) -> str:
    return " ".join(part for part in (outcome, str(status or ""), reason) if part)


def _placed(journey: Journey, attempt: Attempt | None) -> list[Request]:
    return [one for one in journey.requests if attempt_of(one, journey.attempts) == attempt]


def _requests(journey: Journey, attempt: Attempt | None) -> Iterator[Row]:
    requests = _placed(journey, attempt)
    for request in requests[:MOST_REQUESTS]:
        engine = next(e for e in journey.engines if _is_of(request, e))
        yield _request(request, engine.steps)
    if len(requests) > MOST_REQUESTS:
        yield Row(f"{len(requests) - MOST_REQUESTS} more requests: see --json")


def _is_of(request: Request, engine: EngineWork) -> bool:
    key = (engine.instance_id, engine.dp_rank)
    return key == (request.instance_id, request.dp_rank)


def _request(request: Request, steps: Sequence[Step]) -> Row:
    rows = [_phase(phase, request, steps) for phase in phases(request)]
    if request.first_token_ns is not None:
        moment = Moment(request.arrival_ns, request.first_token_ns)
        rows.append(Row("core first token", moment, _MOMENT))
    if request.first_output_ns is not None:
        moment = Moment(request.arrival_ns, request.first_output_ns)
        rows.append(Row("TTFT_engine", moment, _MOMENT))
    which = ""
    if request.sample_count > 1:
        which = f" {request.sample_index + 1}/{request.sample_count}"
    return Row(
        f"request{which} {request.request_id}",
        Whole(request.arrival_ns, request.finished_ns),
        "blue" if request.outcome == "finished" else _BAD,
        _request_details(request),
        rows,
    )


def _request_details(request: Request) -> list[str]:
    reason = request.error_type or request.finish_reason
    cached = f" ({request.cached_tokens:,} cached)" if request.cached_tokens else ""
    details = [
        f"{request.outcome} ({reason})" if reason else request.outcome,
        f"{request.prompt_tokens:,} prompt{cached} + {request.output_tokens:,} output tokens",
    ]
    if request.preemptions:
        details.append(f"preempted {count(request.preemptions, 'time')}")
        details.append(f"{count(request.recomputed_tokens, 'token')} computed again")
    if request.lora:
        details.append(f"LoRA {request.lora}")
    if request.delivered_tokens not in (None, request.output_tokens):
        details.append(f"{request.delivered_tokens:,} of them delivered")
    for tokens, what in (
        (request.rejected_tokens, "rejected as drafts"),
        (request.discarded_tokens, "computed in vain"),
        (request.unscheduled_tokens, "of the prompt never scheduled"),
    ):
        if tokens:
            details.append(f"{count(tokens, 'token')} {what}")
    return details


def _phase(phase: Phase, request: Request, steps: Sequence[Step]) -> Row:
    details = []
    if phase.name in ("prefill", "decode"):
        number = PHASE_PREFILL if phase.name == "prefill" else PHASE_DECODE
        work = [own_work(step, number, request.request_index) for step in steps]
        taken, tokens = sum(members for members, _ in work), sum(tokens for _, tokens in work)
        details.append(f"{count(taken, 'step')}, {count(tokens, 'token')}")
    if not phase.complete:
        details.append(f"{request.outcome.replace('_', ' ')} here")
    kind = Wait if phase.name == "queue" else Work
    style = _STYLES[phase.name] if phase.complete else _BAD
    return Row(phase.name, kind(phase.start_ns, phase.end_ns), style, details)


def _engines(journey: Journey, attempt: Attempt | None) -> Iterator[Row]:
    requests = _placed(journey, attempt)
    for engine in journey.engines:
        if any(_is_of(request, engine) for request in requests):
            yield from _steps(engine)
            yield from _kernels(engine)
            yield from _classes(engine)


def _steps(engine: EngineWork) -> Iterator[Row]:
    summary = summarise(engine.steps)
    if summary is None:
        return
    end = max(step.result_ns or step.scheduled_ns for step in engine.steps)
    values = [
        Value(step.scheduled_ns, step.result_ns or step.scheduled_ns, step.batch_size)
        for step in engine.steps
    ]
    details = [
        f"batch {_range(summary.batch_min, summary.batch_max)}, median {summary.batch_median}",
        f"{summary.own_prefill_tokens + summary.own_decode_tokens:,} of "
        f"{summary.all_prefill_tokens + summary.all_decode_tokens:,} tokens its own",
    ]
    if summary.own_drafts:
        details.append(f"{summary.own_accepted:,} of {count(summary.own_drafts, 'draft')} accepted")
    if summary.in_flight:
        details.append(f"{summary.in_flight} in flight when the engine died")
    details.append(_shared(engine))
    listed = summary.slowest if summary.count > len(summary.slowest) else engine.steps
    slowest = [_step(step, listed is summary.slowest) for step in listed]
    label = f"{count(summary.count, 'step')} {engine.service}"
    course = Course(engine.steps[0].scheduled_ns, end, values)
    yield Row(label, course, "", details, slowest)


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _shared(engine: EngineWork) -> str:
    """Who shared the steps, in numbers; a tenant learns the sum alone."""
    total = sum(group.requests for group in engine.neighbours)
    if not total:
        return "shared with nobody"
    named = [
        f"{group.tenant or 'not found'} {group.requests:,}"
        for group in engine.neighbours
        if group.tenant is not None
    ]
    text = f"shared with {count(total, 'other request')}"
    return f"{text}: {', '.join(named)}" if named else text


def _step(step: Step, slow: bool) -> Row:
    details = [
        f"batch {step.batch_size}",
        f"{step.prefill_tokens:,} prefill + {step.decode_tokens:,} decode tokens",
    ]
    if step.own_drafts:
        drafts = count(sum(step.own_drafts), "draft")
        told = f"{sum(step.own_accepted):,} of {drafts} accepted" if step.own_accepted else drafts
        details.append(told)
    if step.cudagraph_mode:
        details.append(f"CUDA graphs {step.cudagraph_mode}")
    if step.waiting:
        details.append(f"{step.waiting:,} waiting")
    end = step.result_ns or step.scheduled_ns
    return Row(
        f"{'slow ' if slow else ''}step {step.seq}", Work(step.scheduled_ns, end), "", details
    )


def _kernels(engine: EngineWork) -> Iterator[Row]:
    """Kernels by name. They served whole batches, so the shares are of the batches' time."""
    if not engine.kernels:
        return
    total = sum(kernel.total_ns for kernel in engine.kernels)
    rows = [
        Row(kernel.name, Share(kernel.total_ns, total, kernel.launches), "magenta")
        for kernel in engine.kernels[:MOST_KERNELS]
    ]
    rest = engine.kernels[MOST_KERNELS:]
    if rest:
        others = Share(sum(k.total_ns for k in rest), total, sum(k.launches for k in rest))
        rows.append(Row(f"{len(rest)} others", others, "magenta"))
    devices = sorted({f"{kernel.device} ({kernel.source})" for kernel in engine.kernels})
    details = [f"on {', '.join(devices)}", "time of the whole batches, others' share included"]
    launches = sum(kernel.launches for kernel in engine.kernels)
    yield Row("kernels", Share(total, total, launches), "magenta", details, rows)


def _classes(engine: EngineWork) -> Iterator[Row]:
    """Kernels by class: of all steps, those whose kernels are not kept one by one too."""
    if not engine.kernel_classes:
        return
    total = sum(each.total_ns for each in engine.kernel_classes)
    rows = [
        Row(each.kind, Share(each.total_ns, total, each.launches), "magenta")
        for each in engine.kernel_classes
    ]
    launches = sum(each.launches for each in engine.kernel_classes)
    yield Row("kernel classes", Share(total, total, launches), "magenta", [], rows)
