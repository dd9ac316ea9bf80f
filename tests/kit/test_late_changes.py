"""Whatever changes about the routes after the start is looked at by the next request."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from fastapi_sessionkit import ConfigurationError, CookieSettings, has_role
from tests.kit.support import ask
from tests.support import AppSession, app_kit, client_of


def transfer(session: AppSession) -> None: ...


def bad_router() -> APIRouter:
    router = APIRouter()
    router.post("/bad")(transfer)
    return router


class Site:
    """An application with one of each: an included router, a mounted application and router, a frontend."""

    def __init__(self) -> None:
        self.app, self.sub, self.included, self.mounted = FastAPI(), FastAPI(), APIRouter(), APIRouter()
        app_kit().install(self.app)
        self.sub.get("/ask")(ask)
        self.app.get("/")(ask)
        self.app.include_router(self.included)
        self.app.mount("/sub", self.sub)
        self.app.mount("/mounted", self.mounted)

    def mount(self) -> Mount:
        return next(route for route in self.app.router.routes if isinstance(route, Mount))


def another_list(site: Site) -> None:
    site.app.router.routes = [*site.app.router.routes, *bad_router().routes]


def another_list_of_equal_routes(site: Site) -> None:
    def again(route: Any) -> Any:
        return APIRoute(route.path, ask, methods=["GET"], dependencies=[Depends(has_role("admin"))])

    routes = site.app.router.routes
    site.app.router.routes = [again(route) if isinstance(route, APIRoute) else route for route in routes]


def another_list_of_an_included_router(site: Site) -> None:
    site.included.routes = bad_router().routes
    site.included.get("/more")(ask)  # for until then FastAPI serves those that it has found before


def another_list_of_a_mounted_router(site: Site) -> None:
    site.mounted.routes = bad_router().routes


def another_list_of_a_mounted_application(site: Site) -> None:
    site.sub.router.routes = bad_router().routes


def another_router_of_a_mounted_application(site: Site) -> None:
    site.sub.router = bad_router()


def another_application_of_a_mount(site: Site) -> None:
    sub = FastAPI()
    sub.include_router(bad_router())
    site.mount().app = sub


def another_kit_of_a_mounted_application(site: Site) -> None:
    for name in ("bad", "worse"):
        app_kit(name=name, cookie=CookieSettings(name=name)).install(site.sub)


CHANGES = [
    another_list,
    another_list_of_equal_routes,
    another_list_of_an_included_router,
    another_list_of_a_mounted_router,
    another_list_of_a_mounted_application,
    another_router_of_a_mounted_application,
    another_application_of_a_mount,
    another_kit_of_a_mounted_application,
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_after_the_start_fails_the_next_request(change: Callable[[Site], None]) -> None:
    site = Site()
    with client_of(site.app) as client:
        assert client.get("/").status_code == 200
        change(site)

        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"/bad: session takes|/: Depends\(has_role|/sub/ask: "):
                client.get("/")


def test_a_second_frontend_of_a_router_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    site = Site()
    site.included.frontend("/front", directory=".")
    client = client_of(site.app)
    client.get("/")
    monkeypatch.setattr("fastapi_sessionkit.kit.check_routes", looked.append)

    client.get("/")
    assert looked == []
    site.included.frontend("/second", directory=".")
    client.get("/")

    assert looked == [site.app]
