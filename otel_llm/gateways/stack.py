"""How our layers get into a Starlette application's middleware stack, and out of it again.

our outermost layer > OpenTelemetry's server span > our inner layer > the user's middleware > routes
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.trace import TracerProvider
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Scope

from otel_llm.gateways.routes import route_template
from otel_llm.patching import Patch, PatchSet, Problem, Replacement

if TYPE_CHECKING:
    from fastapi import FastAPI

Wrap = Callable[[ASGIApp], ASGIApp]

_EXCLUDED_VARIABLES = ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS")
_FASTAPI_FLAG = "_is_instrumented_by_opentelemetry"
_NO_MESSAGE_SPANS: list[Any] = ["receive", "send"]


class Layers:
    """Our layers in one application.

    Args:
        app: the application.
        inner: our layer inside of the server span.
        outermost: puts our outermost layer around a stack.
        provider: whose server spans to make; OpenTelemetry's global one if None.
        unspanned: paths without server spans, unless the environment names its own.
    """

    def __init__(
        self,
        app: Starlette,
        inner: Middleware,
        outermost: Wrap,
        provider: TracerProvider | None,
        unspanned: frozenset[str],
    ) -> None:
        self._app = app
        self._inner = inner
        self._provider = provider
        self._unspanned = unspanned
        self._outermost = outermost
        self._made_by_fastapi = False
        self._original_stack: ASGIApp | None = None
        self._patches = PatchSet()

    def put_in(self) -> None:
        """Put the layers in; the next request builds the stack anew."""
        app = self._app
        self._original_stack = app.middleware_stack
        traced_at = _inside_of_tracing(app)
        wrap = self._outermost
        if traced_at is None and _is_fastapi(app):
            self._trace_fastapi()
        elif traced_at is None:
            wrap = self._with_server_spans
        app.user_middleware.insert(traced_at or 0, self._inner)
        build = Replacement(app, "build_middleware_stack", lambda build: lambda: wrap(build()))
        self._patches = PatchSet(Patch("gateway", (build,)))
        self._patches.apply()
        app.middleware_stack = None

    def take_out(self) -> list[Problem]:
        """Take the layers out, and put the very stack back that was there.

        Returns:
            What stands in the way: then the layers stay.
        """
        app = self._app
        problems = self._patches.undo()
        if problems:
            return problems
        app.user_middleware.remove(self._inner)
        if self._made_by_fastapi:
            self._untrace_fastapi()
        app.middleware_stack = self._original_stack
        return []

    def _with_server_spans(self, stack: ASGIApp) -> ASGIApp:
        spans: ASGIApp = OpenTelemetryMiddleware(
            stack,
            excluded_urls=self._excluded_urls(),
            default_span_details=self._span_details,
            tracer_provider=self._provider,
            exclude_spans=_NO_MESSAGE_SPANS,
        )
        return self._outermost(spans)

    def _span_details(self, scope: Scope) -> tuple[str, dict[str, str]]:
        """Name and attributes by route template, as the FastAPI instrumentation has them."""
        method, route = scope.get("method", ""), route_template(self._app, scope)
        return f"{method} {route}".strip(), {"http.route": route} if route else {}

    def _trace_fastapi(self) -> None:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(
            cast("FastAPI", self._app),
            tracer_provider=self._provider,
            excluded_urls=self._excluded_urls(),
            exclude_spans=_NO_MESSAGE_SPANS,
        )
        self._made_by_fastapi = True

    def _untrace_fastapi(self) -> None:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.uninstrument_app(cast("FastAPI", self._app))
        # It leaves a bound method and a flag behind.
        vars(self._app).pop("build_middleware_stack", None)
        vars(self._app).pop(_FASTAPI_FLAG, None)

    def _excluded_urls(self) -> str | None:
        if any(variable in os.environ for variable in _EXCLUDED_VARIABLES):
            return None
        return ",".join(f"^https?://[^/]+{path}/?$" for path in sorted(self._unspanned))


def _is_fastapi(app: Starlette) -> bool:
    fastapi = sys.modules.get("fastapi")
    return fastapi is not None and isinstance(app, fastapi.FastAPI)


def _inside_of_tracing(app: Starlette) -> int | None:
    """Where among the user's middleware one is inside of the server span; None without a span."""
    for index, middleware in enumerate(app.user_middleware):
        if isinstance(middleware.cls, type) and issubclass(middleware.cls, OpenTelemetryMiddleware):
            return index + 1
    return 0 if getattr(app, _FASTAPI_FLAG, False) else None
