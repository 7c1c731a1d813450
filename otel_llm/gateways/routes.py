"""The template of the route that will serve a path, so that labels stay bounded."""

import sys
from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Match, Mount
from starlette.types import Scope

from otel_llm.gateways.openai import OPERATIONS


def route_template(app: Starlette, scope: Scope) -> str:
    """The route's template, for example `/v1/models/{name}`; empty if no route takes the path."""
    path: str = scope["path"]
    if path in OPERATIONS:
        return path
    return _match(app.routes, scope)


def _match(routes: Iterable[Any], scope: Scope) -> str:
    partial = ""
    for route in _flat(routes):
        match, child = route.matches(scope)
        if match is Match.NONE:
            continue
        template = _template(route, {**scope, **child})
        if match is Match.FULL:
            return template
        partial = partial or template
    return partial


def _template(route: Any, scope: Scope) -> str:  # noqa: ANN401  a route of either framework
    within = getattr(route, "original_route", route)
    if isinstance(within, Mount):
        return within.path + _match(within.routes, scope)
    return str(getattr(route, "path_format", ""))


def _flat(routes: Iterable[Any]) -> Iterable[Any]:
    """FastAPI keeps an included router as one entry, and offers a function that opens it."""
    fastapi = sys.modules.get("fastapi.routing")
    contexts = getattr(fastapi, "iter_route_contexts", None)
    return routes if contexts is None else contexts(routes)
