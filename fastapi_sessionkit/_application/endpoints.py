"""Whether a request will come to an endpoint that is marked ``@public``, asked before the request is routed.

The gate stands in front of routing, and ``@public`` on an endpoint is its business. Whatever routes in a way of its own is
not followed, and its endpoint counts as not marked.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, compile_path
from starlette.types import Scope

from ..guard import route_path
from ..markers import is_public
from .answering import is_known, other_spelling, way_of
from .kits import routes_below
from .routes import keepers_of_routes

_REMEMBERED, _REMEMBERED_LENGTH = 1_024, 256
"""How many answers are remembered, and how long a path may be: invented paths can't fill the memory."""

_Request = tuple[str, str, str, str]
"""Type, method, root path and path: all that the routes of FastAPI and Starlette look at, but for ``Host``."""


class PublicEndpoints:
    """Whether requests to one application come to an endpoint that is marked ``@public``."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._marked: list[re.Pattern[str]] = []
        self._paths_tell = False
        self._remembered: Callable[[_Request], bool] = self._look

    def look_again(self) -> None:
        """Forget what was found, for the application is complete, or its routes have changed."""
        self._remembered = lru_cache(_REMEMBERED)(self._look)
        marked = {at + route.template for at, _, route in routes_below(self._app) if route.is_public}
        self._marked = [compile_path(template)[0] for template in marked]
        routers = [keeper for keeper, name in keepers_of_routes(self._app) if name == "routes"]
        self._paths_tell = all(_matches_by_path(route) for router in routers for route in router.routes)

    def __call__(self, scope: Scope) -> bool:
        """Whether this request comes to a marked endpoint; in doubt it does not."""
        if not self._marked or not self._may_be_marked(route_path(scope)):
            return False
        request = (scope["type"], scope.get("method", "GET"), scope.get("root_path", ""), scope["path"])
        if self._paths_tell and sum(map(len, request)) <= _REMEMBERED_LENGTH:
            return self._remembered(request)
        return self._finds_public(scope)

    def _may_be_marked(self, path: str) -> bool:
        """Whether a marked endpoint has such a path at all: for other paths there is no need to ask every route."""
        return any(known.match(path) or known.match(other_spelling(path)) for known in self._marked)

    def _look(self, request: _Request) -> bool:
        return self._finds_public(dict(zip(("type", "method", "root_path", "path"), request, strict=True)))

    def _finds_public(self, scope: Scope) -> bool:
        try:
            return is_public(way_of(self._app, scope).endpoint)
        except Exception:  # noqa: BLE001 - a convertor of the application's raised: routing will say so, to those let in
            return False


def _matches_by_path(route: BaseRoute) -> bool:
    return not isinstance(route, Host) and is_known(route, "matches")
