"""The template of the route that will serve a path, so that labels stay bounded."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

from otel_llm.gateways.openai import OPERATIONS


def route_template(app: Starlette, scope: Scope) -> str:
    """The route's template, for example `/v1/models/{name}`; empty if no route takes the path."""
    path: str = scope["path"]
    if path in OPERATIONS:
        return path
    return _match(app.routes, scope)


def _match(routes: "list[BaseRoute]", scope: Scope) -> str:
    partial = ""
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.NONE:
            continue
        template = _template(route, {**scope, **child})
        if match is Match.FULL:
            return template
        partial = partial or template
    return partial


def _template(route: BaseRoute, scope: Scope) -> str:
    if isinstance(route, Mount):
        return route.path + _match(route.routes, scope)
    found = getattr(route, "path_format", None)
    if isinstance(found, str):
        return found
    # FastAPI keeps an included router as one entry with routes of its own.
    return _match(getattr(route, "routes", None) or [], scope)
