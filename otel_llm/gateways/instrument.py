"""`instrument_gateway`: instruments a Starlette or FastAPI application; its undo takes all out."""

import logging
from collections.abc import Collection

from opentelemetry.trace import TracerProvider
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

import otel_llm
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.gateways.metrics_page import MetricsPage
from otel_llm.gateways.middleware import GatewayMiddleware, SpanBinder
from otel_llm.gateways.recorder import FactWriter, Recorder
from otel_llm.gateways.stack import Layers
from otel_llm.gateways.targets import Targets
from otel_llm.gateways.tenants import TenantOf, TenantRule
from otel_llm.journal.writer import open_journal
from otel_llm.settings import Settings, load

NOT_CALLS = ("/health", "/healthz", "/livez", "/metrics", "/ping", "/readyz")
"""Paths that are no API calls: no fact is written for them, and no span made."""

_ATTRIBUTE = "_otel_llm_gateway"
_log = logging.getLogger("otel_llm")


class GatewayInstrumentation:
    """An instrumented application, as `instrument_gateway` returns it.

    Args:
        app: the application.
        recorder: takes its facts.
        layers: what was put into it.

    Attributes:
        metrics: the gateway's metrics; a gateway with circuit breakers tells their states here.
    """

    def __init__(self, app: Starlette, recorder: Recorder, layers: Layers) -> None:
        self.metrics = recorder.metrics
        self._app = app
        self._recorder = recorder
        self._layers = layers

    def metrics_page(self, token: str = "") -> MetricsPage:
        """The `/metrics` page, to mount in the application or to serve on a port of its own.

        Args:
            token: bearer token a scraper must send. Without one, serve the page on loopback only.
        """
        return MetricsPage(self.metrics.registry, token)

    def undo(self) -> None:
        """Take everything out of the application again. Calls in flight still leave their facts."""
        if vars(self._app).get(_ATTRIBUTE) is not self:
            return
        delattr(self._app, _ATTRIBUTE)
        self._recorder.close()
        for problem in self._layers.take_out():
            _log.warning("undo: %s. Our layers stay in it and do nothing.", problem.reason)


def instrument_gateway(
    app: Starlette,
    settings: Settings | None = None,
    *,
    tenant_of: TenantOf | None = None,
    exclude: Collection[str] = NOT_CALLS,
    tracer_provider: TracerProvider | None = None,
    journal: FactWriter | None = None,
) -> GatewayInstrumentation:
    """Write a fact for every API call of an application, and for every try at an upstream.

    Server spans come from OpenTelemetry's own instrumentation, which is put in unless it is there.
    A second call for the same application changes nothing and returns what the first returned.

    Args:
        app: a Starlette or FastAPI application.
        settings: the process's settings if None.
        tenant_of: names a call's tenant and tier from its ASGI scope, in place of the headers that
            count from `trusted_proxies`. It must map a key to a name, never return the key.
        exclude: exact paths that are no API calls.
        tracer_provider: OpenTelemetry's global one if None. Facts do not need any.
        journal: where to write facts, closed on undo; a journal in `journal_dir` if None.

    Raises:
        SettingError: a setting cannot be used.
    """
    existing = vars(app).get(_ATTRIBUTE)
    if isinstance(existing, GatewayInstrumentation):
        _log.warning("instrument_gateway: this application is instrumented already")
        return existing
    settings = load() if settings is None else settings
    metrics, excluded = GatewayMetrics(targets=Targets.of(settings)), frozenset(exclude)
    tenants = TenantRule(settings, tenant_of, metrics)
    recorder = Recorder(journal or _open(settings), metrics, tracer_provider)
    recorder.enabled = settings.enabled

    def outermost(stack: ASGIApp) -> ASGIApp:
        return GatewayMiddleware(stack, app, recorder, tenants, excluded)

    inner = Middleware(SpanBinder, recorder=recorder)
    layers = Layers(app, inner, outermost, tracer_provider, excluded)
    layers.put_in()
    gateway = GatewayInstrumentation(app, recorder, layers)
    setattr(app, _ATTRIBUTE, gateway)
    return gateway


def _open(settings: Settings) -> FactWriter:
    return open_journal(
        kind="gateway",
        service="gateway",
        engine="otel-llm",
        engine_version=otel_llm.__version__,
        settings=settings,
    )
