"""What a reader can choose on boards. Every variable of a board is used by a panel of it."""

from collections.abc import Sequence

from grafanalib import core

from otel_llm.dashboards.grafana.targets import CLICKHOUSE
from otel_llm.dashboards.queries.sql import ALL, choices, services

_ON_TIME_RANGE = 2
"""Grafana's word for: asked again when the time range changes."""


def _source(name: str, label: str, plugin: str) -> core.Template:
    return core.Template(name=name, label=label, type="datasource", query=plugin)


def _asked(name: str, label: str, query: str) -> core.Template:
    return core.Template(
        name=name, label=label, dataSource=CLICKHOUSE, query=query, refresh=_ON_TIME_RANGE, sort=0
    )


def _choice(name: str, label: str) -> core.Template:
    """One value of the store, or all."""
    asked = _asked(name, label, choices(name))
    asked._current = {"text": "all", "value": ALL}  # noqa: SLF001  grafanalib has no other way
    return asked


def _text(name: str, label: str, default: str) -> core.Template:
    """A value that the reader writes."""
    return core.Template(name=name, label=label, type="textbox", query=default, default=default)


_EVERY = (
    _source("clickhouse", "ClickHouse", "grafana-clickhouse-datasource"),
    _source("prometheus", "Prometheus", "prometheus"),
    _choice("model", "model"),
    _choice("tenant", "tenant"),
    _choice("service", "engine service"),
    _asked("stable", "stable", services("stable")),
    _asked("canary", "canary", services("canary")),
    _text("trace", "trace id", ""),
    _text("target", "share of good calls", "0.99"),
    _text("ttft_s", "TTFT_caller within, s", "1"),
    _text("itl_s", "mean chunk gap within, s", "0.2"),
    _text("e2e_s", "call within, s (0: any)", "0"),
    _text("price", "price of a kWh", "0.25"),
    _text("carbon", "g CO2e per kWh", "400"),
)
VARIABLES = {variable.name: variable for variable in _EVERY}
"""Every variable, by name."""


def variables(names: Sequence[str]) -> tuple[core.Template, ...]:
    """The named variables, in the order in which all boards show them.

    Raises:
        KeyError: there is no such variable.
    """
    wanted = {name: VARIABLES[name] for name in names}
    return tuple(variable for variable in _EVERY if variable.name in wanted)
