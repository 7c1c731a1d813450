"""Kernel spans, children of their step's span."""

from otel_llm.clock import EpochNs
from otel_llm.conventions import Attr
from otel_llm.facts.joined import JoinedKernels
from otel_llm.spans.common import OurSpan, child, pairs
from otel_llm.spans.ids import span_id


def kernel_spans(fact: JoinedKernels) -> list[OurSpan]:
    """A step's kernels, one span each. Empty if the step is not sampled."""
    step, kernels, producer = fact.step, fact.kernels, fact.producer
    if step is None:
        return []
    base = fact.anchor.wall(kernels.base_ns)
    told = {
        Attr.STEP_SEQ: kernels.seq,
        Attr.KERNEL_SOURCE: kernels.source,
        Attr.KERNEL_DEVICE: kernels.device,
    }
    attributes = pairs(told)
    times = zip(kernels.name_index, kernels.offset_ns, kernels.duration_ns, strict=True)
    return [
        child(
            step,
            span_id(step.span_id, "kernel", kernels.device, kernels.base_ns, number),
            producer,
            kernels.names[name],
            (EpochNs(base + offset), EpochNs(base + offset + duration)),
            attributes,
        )
        for number, (name, offset, duration) in enumerate(times)
    ]
