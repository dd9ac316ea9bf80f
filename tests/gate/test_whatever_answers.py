"""Whatever an application answers with, the rules stand before it."""

from pathlib import Path

import pytest

from fastapi_sessionkit import RouterGuard, Rule
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ADMIN, CUSTOMER, everything
from tests.support import client_of, new_kit

ANSWERS = [
    "/api",
    "/items/7",
    "/slashed/",
    "/outer/inner/nested/deep",
    "/plain",
    "/sub/page",
    "/sub/docs",
    "/sub/openapi.json",
    "/bare",
    "/bare/x/y",
    "/static/page.txt",
    "/static/",
    "/static/sub/",
    "/docs",
    "/docs/oauth2-redirect",
    "/redoc",
    "/openapi.json",
    "/front/",
    "/front/page.txt",
]


@pytest.mark.parametrize("path", ANSWERS)
def test_whatever_answers_is_behind_the_gate(files: Path, path: str) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(protect=[Rule("/**", role="admin")]), kit)

    assert client_of(everything(files, None)).get(path).status_code in {200, 307}
    assert client_of(app).get(path).status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get(path).status_code == 403
    assert signed_in(client_of(app), kit, ADMIN).get(path).status_code in {200, 307}


@pytest.mark.parametrize("path", ANSWERS)
def test_global_protection_is_before_whatever_answers(files: Path, path: str) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(global_protect=True), kit)

    assert client_of(app).get(path).status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get(path).status_code in {200, 307}


@pytest.mark.parametrize("path", ["/nowhere", "/items/7/more", "/sub/nowhere", "/static/nowhere.txt", "/front/no.txt"])
def test_unknown_paths_tell_nobody_that_they_are_unknown(files: Path, path: str) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(global_protect=True), kit)

    assert client_of(app).get(path).status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).get(path).status_code == 404


def test_a_method_that_is_not_allowed_tells_nobody_so(files: Path) -> None:
    kit = new_kit()
    app = everything(files, RouterGuard(global_protect=True), kit)

    assert client_of(app).delete("/api").status_code == 401
    assert signed_in(client_of(app), kit, CUSTOMER).delete("/api").status_code == 405


def test_a_host_route_is_behind_the_gate(files: Path) -> None:
    app = everything(files, RouterGuard(protect=[Rule("/hosted")]))

    assert client_of(everything(files, None)).get("/hosted", headers={"Host": "other.example"}).status_code == 200
    assert client_of(app).get("/hosted", headers={"Host": "other.example"}).status_code == 401


def test_open_paths_stay_open(files: Path) -> None:
    app = everything(files, RouterGuard(protect=[Rule("/api")], global_protect=True, exclude=["/static/**", "/docs"]))

    assert client_of(app).get("/static/page.txt").text == "page"
    assert client_of(app).get("/docs").status_code == 200
    assert client_of(app).get("/openapi.json").status_code == 401
