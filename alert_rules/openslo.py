"""OpenSLO v1 (https://github.com/OpenSLO/OpenSLO) read into our own form.

Of its kinds, `SLO` with an inline indicator is read. A query must be one plain series, such as
`otel_llm_gateway_calls_total{outcome="failed"}`: rates and sums are the generator's business. The
labels that budgets are kept by stand in the annotation `otel-llm/by`, with commas.
"""

import re
from typing import Any

import msgspec

from otel_llm.alert_rules.document import Document
from otel_llm.alert_rules.model import Latency, Ratio, Selector, Slo, Without

BY = "otel-llm/by"
_SERIES = re.compile(r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<matchers>[^}]*)\})?\s*")
_MATCHER = re.compile(r'\s*(?P<label>[a-zA-Z_]\w*)\s*(?P<how>=~|!~|!=|=)\s*"(?P<value>[^"]*)"\s*')


class _PrometheusQuery(msgspec.Struct):
    query: str


class _Source(msgspec.Struct):
    spec: _PrometheusQuery
    type: str = "Prometheus"


class _Metric(msgspec.Struct):
    source: _Source = msgspec.field(name="metricSource")


class _RatioMetric(msgspec.Struct, forbid_unknown_fields=True):
    total: _Metric
    bad: _Metric | None = None
    counter: bool = True


class _IndicatorSpec(msgspec.Struct, forbid_unknown_fields=True):
    ratio: _RatioMetric | None = msgspec.field(name="ratioMetric", default=None)
    threshold: _Metric | None = msgspec.field(name="thresholdMetric", default=None)


class _Indicator(msgspec.Struct):
    spec: _IndicatorSpec


class _Window(msgspec.Struct, forbid_unknown_fields=True):
    duration: str
    rolling: bool = msgspec.field(name="isRolling", default=True)


class _Objective(msgspec.Struct):
    target: float | None = None
    percent: float | None = msgspec.field(name="targetPercent", default=None)
    op: str = ""
    value: float | None = None


class _Spec(msgspec.Struct):
    service: str
    indicator: _Indicator
    windows: list[_Window] = msgspec.field(name="timeWindow")
    objectives: list[_Objective]
    description: str = ""
    method: str = msgspec.field(name="budgetingMethod", default="Occurrences")


class _Metadata(msgspec.Struct):
    name: str
    title: str = msgspec.field(name="displayName", default="")
    annotations: dict[str, str] = {}


class _Document(msgspec.Struct):
    version: str = msgspec.field(name="apiVersion")
    kind: str
    metadata: _Metadata
    spec: _Spec


_OURS = {
    "$.name": "$.metadata.name",
    "$.objective": "$.spec.objectives[0]",
    "$.period": "$.spec.timeWindow",
    "$.indicator": "$.spec.indicator",
    "$.indicator.threshold": "$.spec.objectives[0].value",
}


def read(told: Document) -> tuple[Slo, Document]:
    """An objective, and the document with our paths leading to its lines.

    Raises:
        SpecError: it is no OpenSLO v1 SLO, or it asks for what is not read.
    """
    head: dict[str, Any] = told.data
    if head["apiVersion"] != "openslo/v1":
        problem = f"apiVersion is {head['apiVersion']!r}"
        raise told.error("$.apiVersion", problem, "Only openslo/v1 is read")
    if head.get("kind") != "SLO":
        raise told.error(
            "$.kind", f"kind is {head.get('kind')!r}", "Only SLO is read, one a document"
        )
    whole = told.convert(_Document)
    if whole.spec.method != "Occurrences":
        problem = f"budgetingMethod is {whole.spec.method!r}"
        raise told.error("$.spec.budgetingMethod", problem, "Only Occurrences is read")
    if len(whole.spec.objectives) != 1 or len(whole.spec.windows) != 1:
        remedy = "Write one objective and one timeWindow; more are more SLOs"
        raise told.error("$.spec", "it has none or several objectives or windows", remedy)
    if not whole.spec.windows[0].rolling:
        where = "$.spec.timeWindow[0].isRolling"
        raise told.error(where, "a window of the calendar is not read", "Write isRolling: true")
    slo = Slo(
        name=whole.metadata.name,
        title=whole.metadata.title or whole.spec.description or whole.metadata.name,
        objective=_objective(told, whole.spec.objectives[0]),
        indicator=_indicator(told, whole.spec),
        by=[
            one.strip() for one in whole.metadata.annotations.get(BY, "").split(",") if one.strip()
        ],
        period=whole.spec.windows[0].duration,
        service=whole.spec.service,
    )
    lines = {**told.lines, **{ours: told.line(theirs) for ours, theirs in _OURS.items()}}
    return slo, told._replace(lines=lines)


def _objective(told: Document, objective: _Objective) -> float:
    at = "$.spec.objectives[0]"
    if None not in (objective.percent, objective.target):
        raise told.error(at, "it has both target and targetPercent", "Keep one of them")
    if objective.percent is not None:
        return objective.percent
    if objective.target is not None:
        return round(100 * objective.target, 10)
    raise told.error(at, "it has neither target nor targetPercent", "Write target: 0.995")


def _indicator(told: Document, spec: _Spec) -> Ratio | Latency:
    inside, at = spec.indicator.spec, "$.spec.indicator.spec"
    if inside.ratio is not None and inside.ratio.bad is not None:
        if not inside.ratio.counter:
            where = f"{at}.ratioMetric.counter"
            raise told.error(where, "a gauge is no count of events", "Write counter: true")
        total, only = _series(told, f"{at}.ratioMetric.total", inside.ratio.total)
        bad, selector = _series(told, f"{at}.ratioMetric.bad", inside.ratio.bad)
        if bad != total:
            remedy = "Write `bad` as the bad series of the counter in `total`"
            where = f"{at}.ratioMetric.bad"
            raise told.error(where, f"{bad} is not {total}", remedy)
        return Ratio(total, [selector], only)
    objective = spec.objectives[0]
    if inside.threshold is not None and objective.value is not None:
        if objective.op not in ("lt", "lte"):
            where = "$.spec.objectives[0].op"
            raise told.error(where, f"op is {objective.op!r}", "A latency needs lt or lte")
        name, only = _series(told, f"{at}.thresholdMetric", inside.threshold)
        return Latency(name.removesuffix("_bucket"), f"{objective.value * 1000:.10g}ms", only)
    remedy = "Write ratioMetric with bad and total, or thresholdMetric and an objective with value"
    raise told.error(at, "the indicator is not one that is read", remedy)


def _series(told: Document, path: str, metric: _Metric) -> tuple[str, Selector]:
    if metric.source.type.lower() != "prometheus":
        where = f"{path}.metricSource.type"
        raise told.error(where, f"type is {metric.source.type!r}", "Only Prometheus is read")
    where = f"{path}.metricSource.spec.query"
    query = metric.source.spec.query
    match = _SERIES.fullmatch(query)
    if match is None:
        remedy = 'Write one plain series, such as name{outcome="failed"}; rates are added'
        raise told.error(where, f"{query.strip()!r} is more than a series", remedy)
    selector: Selector = {}
    for one in filter(str.strip, (match["matchers"] or "").split(",")):
        matcher = _MATCHER.fullmatch(one)
        if matcher is None:
            raise told.error(where, f"{one.strip()!r} is no matcher", 'Write label="value"')
        values = matcher["value"].split("|")
        negated = matcher["how"].startswith("!")
        selector[matcher["label"]] = (
            Without(values) if negated else values if matcher["how"] == "=~" else matcher["value"]
        )
    return match["name"], selector
