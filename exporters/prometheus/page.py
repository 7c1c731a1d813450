"""The page of a `MetricSet` as text, byte for byte what `prometheus_client` makes, in less time.

The library makes an object for each line and escapes its name and labels anew, and an agent with
eight engines and twenty tenants has twenty thousand lines. Here the form of a series' lines is made
once, and each value's text once for a page.
"""

from collections.abc import Callable

from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar

from otel_llm.exporters.prometheus.family import created_is_told
from otel_llm.exporters.prometheus.metrics import MetricSet
from otel_llm.exporters.prometheus.series import Series
from otel_llm.exporters.prometheus.text import escaped, number, spaced

Encode = Callable[[MetricSet], bytes]

_OTHER_NAMES = ("escaping=dots", "escaping=values")
"""Spellings that change names of letters and underscores; no scraper asks for them by default."""


def encoder(accept: str) -> tuple[Encode, str]:
    """What a scraper asked for.

    Args:
        accept: its `Accept` header.

    Returns:
        A function that makes the page; and its content type. Exemplars go out only in OpenMetrics.
    """
    theirs, content_type = choose_encoder(accept)
    if content_type.endswith(_OTHER_NAMES):
        return lambda metrics: theirs(metrics.registry), content_type
    asked_open = content_type.startswith("application/openmetrics-text")
    return (_openmetrics if asked_open else _plain), content_type


def _plain(metrics: MetricSet) -> bytes:
    texts, page, tells_created = _Texts(), list[str](), created_is_told()
    for family in metrics.families:
        about, known = spaced(family.metric.help), family.series()
        page += _head(family.metric.name, family.metric.kind, about)
        for labels, series in known:
            form, _ = family.text(labels, series)
            page.append(form % tuple(map(texts.__getitem__, series.read().values)))
        if known and tells_created and family.kind.tells_created:
            page += _head(f"{family.name}_created", "gauge", about)
            page += [family.text(labels, series)[1] for labels, series in known]
    return "".join(page).encode()


def _openmetrics(metrics: MetricSet) -> bytes:
    texts, page, tells_created = _Texts(), list[str](), created_is_told()
    for family in metrics.families:
        page += _head(family.name, family.metric.kind, escaped(family.metric.help))
        tells = tells_created and family.kind.tells_created
        for labels, series in family.series():
            form, created = family.text(labels, series)
            page.append(form % tuple(_with_exemplars(series, texts)))
            if tells:
                page.append(created)
    return "".join([*page, "# EOF\n"]).encode()


class _Texts(dict[float, str]):
    """Numbers' texts, each made once."""

    def __missing__(self, value: float) -> str:
        text = self[value] = number(value)
        return text


def _with_exemplars(series: Series, texts: _Texts) -> list[str]:
    values, exemplars = series.read()
    written = list(map(texts.__getitem__, values))
    for place, exemplar in exemplars.items():
        written[place] += _exemplar(exemplar)
    return written


def _head(name: str, kind: str, documentation: str) -> list[str]:
    return [f"# HELP {name} {documentation}\n", f"# TYPE {name} {kind}\n"]


def _exemplar(exemplar: Exemplar) -> str:
    names = sorted(exemplar.labels.items())
    labels = ",".join(f'{name}="{escaped(value)}"' for name, value in names)
    return f" # {{{labels}}} {number(exemplar.value)} {exemplar.timestamp}"
