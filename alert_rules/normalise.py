"""Recording rules that give other engines' own metrics one name each.

A counter is copied series by series, never summed: its resets stay visible, and `rate` works on the
copy as on the original.
"""

from collections.abc import Iterator

from otel_llm.alert_rules import catalogue, promql
from otel_llm.alert_rules.catalogue import Native, Source
from otel_llm.alert_rules.rule import Group, Rule
from otel_llm.conventions import Signal


def groups() -> dict[str, tuple[Group, ...]]:
    """The rules of each source."""
    return {name: (Group(f"normalise-{name}", list(_rules(one))),) for name, one in _all()}


def _all() -> list[tuple[str, Source]]:
    return list(catalogue.sources().items())


def _rules(source: Source) -> Iterator[Rule]:
    for name, natives in source.signals.items():
        for native in natives:
            yield from _of(source, catalogue.signals()[name], native)


def _of(source: Source, signal: Signal, native: Native) -> Iterator[Rule]:
    labels = {"source": source.source, **native.set}
    if signal.kind != "histogram":
        yield Rule(signal.name, _scaled(_copy(source, native, native.metric), native), labels)
        return
    for ending in ("_count", "_sum"):
        copy = _copy(source, native, native.metric + ending)
        scaled = _scaled(copy, native) if ending == "_sum" else copy
        yield Rule(signal.name + ending, scaled, labels)
    bucket = signal.name + "_bucket"
    if native.scale == 1:
        yield Rule(bucket, _copy(source, native, native.metric + "_bucket"), labels)
        return
    # Bounds of another unit: a rule for each, with the bound in ours.
    for edge in native.buckets:
        copy = _copy(source, native, native.metric + "_bucket", promql.le(edge))
        yield Rule(bucket, copy, {**labels, "le": f"{edge * native.scale:g}"})
    infinite = _copy(source, native, native.metric + "_bucket", 'le="+Inf"')
    yield Rule(bucket, infinite, labels)


def _copy(source: Source, native: Native, name: str, *more: str) -> str:
    only = [f'{label}=~"{value}"' for label, value in sorted(native.only.items())]
    made = promql.select(name, *only, *more)
    for ours, theirs in {**source.labels, **native.labels}.items():
        made = promql.renamed(made, ours, theirs)
    return made


def _scaled(expression: str, native: Native) -> str:
    return expression if native.scale == 1 else f"{expression} * {native.scale:g}"
