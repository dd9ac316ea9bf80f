"""What the same application answers without its guard, and never with it, however a protected path is spelled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule
from tests.security.differential import GUARDS, MARK, application_with_secrets, spellings
from tests.support import new_kit


def lets_out(status: int, body: bytes) -> bool:
    """Whether an answer has what is protected: the text, or for HEAD and OPTIONS the consent."""
    return status == 200 and (MARK.encode() in body or not body)


def scope_of(
    path: str, *, method: str = "GET", root_path: str = "", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """What any server might make of a request, the ones that no known server makes included."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 50_000),
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "root_path": root_path,
        "query_string": b"",
        "headers": [
            (name.encode(), value.encode()) for name, value in {"host": "testserver", **(headers or {})}.items()
        ],
    }


async def answer(app: Any, scope: dict[str, Any]) -> tuple[int, bytes]:
    messages: list[dict[str, Any]] = []
    bodies = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not bodies:
            await anyio.sleep_forever()
        return bodies.pop()

    async def send(message: Any) -> None:
        messages.append(message)

    await app(dict(scope), receive, send)
    body = b"".join(message.get("body", b"") for message in messages if message["type"] == "http.response.body")
    return messages[0]["status"], body


ATTACKS = [
    "/admin",
    "/admin/",
    "/admin//",
    "//admin",
    "///admin",
    "/./admin",
    "/admin/.",
    "/admin/./users",
    "/open/../admin",
    "/open/..//admin",
    "/../admin",
    "/admin/..",
    "/admin\n",
    "/admin\r\n",
    "/admin\x00",
    "/admin\t",
    "/admin ",
    "/admin\x0b",
    "/admin\x85",
    "/admin\u2028",
    "/admin\u2029",
    "/admin\ufffd",
    "/admin\udcff",
    "/admin;",
    "/admin;jsessionid=1",
    "/admin;/users",
    "/admin/;/users",
    "/open;/../admin",
    "/ADMIN",
    "/Admin/users",
    "/adm\u0131n",
    "/\uff41dmin",
    "/admin%2fusers",
    "/admin%00",
    "/%61dmin",
    "/%2561dmin",
    "/admin\\users",
    "\\admin",
    "/\\admin",
    "/open\\..\\admin",
    "/admin#",
    "/admin?",
    "/admin/users\n",
    "/admin/users/x\n",
    "/admin/users/..",
    "/admin/files/",
    "/admin/files//",
    "/admin/files/../../admin",
    "/admin/files/%2e%2e",
    "/caf\u00e9",
    "/cafe\u0301",
    "/caf\u00e9\n",
    "/caf\u00e9/",
    "/CAF\u00c9",
    "/a b/c",
    "/a%20b/c",
    "/a+b/c",
    "/sub",
    "/sub/",
    "/sub/secret",
    "/sub/secret/",
    "/sub//secret",
    "/sub/./secret",
    "/sub/deep/x",
    "/sub/deep/../secret",
    "/sub/secret\n",
    "/sub\n/secret",
    "/static/private/secret.txt",
    "/static/private//secret.txt",
    "/static//private/secret.txt",
    "/static/./private/secret.txt",
    "/static/public/../private/secret.txt",
    "/static/public/..\\private\\secret.txt",
    "/static/x/../private/secret.txt",
    "/static/PRIVATE/secret.txt",
    "/static/private/secret.txt/",
    "/static/private/secret.txt\n",
    "/static/private/secret.txt\x00",
    "/static/private/a b.txt",
    "/static\\private\\secret.txt",
    "/open/../static/private/secret.txt",
    "/starlette/hidden",
    "/starlette/hidden\n",
    "/starlette/hidden/",
    "/starlette//hidden",
    "/docs",
    "/docs/",
    "/docs\n",
    "/login/../admin",
    "/login//admin",
    "",
    "/",
    "admin",
    "*",
    "http://testserver/admin",
    "//testserver/admin",
    "/http://testserver/admin",
]
METHODS = ["GET", "HEAD", "POST", "OPTIONS", "get", "Get", "PROPFIND", "GET ", ""]
ROOTS = ["", "/", "/root", "/root/", "/admin", "/adm", "/sub", "/static", "/open", "/root\n", "root", "/caf\u00e9"]
OVERRIDES = [
    {},
    {"x-http-method-override": "GET"},
    {"x-original-url": "/open", "x-rewrite-url": "/open"},
    {"x-forwarded-prefix": "/admin", "x-forwarded-path": "/open", "x-script-name": "/admin"},
    {"origin": "http://testserver", "access-control-request-method": "GET"},
    {"upgrade": "websocket", "connection": "upgrade"},
    {"sec-fetch-mode": "navigate", "accept": "text/html"},
    {"hx-request": "true"},
]


@dataclass(frozen=True)
class Pair:
    """The same application twice."""

    guarded: FastAPI
    unguarded: FastAPI

    async def check(self, scope: dict[str, Any]) -> bool:
        """Whether the unguarded one lets something out; fails when the guarded one does so too."""
        status, body = await answer(self.unguarded, scope)
        protected = MARK.encode() in body
        kept, kept_body = await answer(self.guarded, scope)

        assert MARK.encode() not in kept_body, scope
        assert not protected or kept not in {200, 204, 206}, scope
        return protected and status == 200


@pytest.fixture(scope="module", params=GUARDS)
def pair(request: pytest.FixtureRequest, files: Path) -> Pair:
    return Pair(application_with_secrets(files, GUARDS[request.param]()), application_with_secrets(files, None))


@pytest.mark.anyio
async def test_the_unguarded_application_does_let_secrets_out_under_odd_spellings(files: Path) -> None:
    """Otherwise this file would prove nothing: these are the spellings that a guard has to know about."""
    app = application_with_secrets(files, None)
    odd = ["/admin\n", "/admin/users\n", "/static/public/../private/secret.txt", "/static//private/secret.txt", "/sub/"]

    answers = [await answer(app, scope_of(path)) for path in odd]

    assert all(lets_out(*each) for each in answers)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ATTACKS)
async def test_attack_by_spelling_a_protected_path_in_another_way(pair: Pair, path: str) -> None:
    for method in METHODS:
        for headers in OVERRIDES:
            await pair.check(scope_of(path, method=method, headers=headers))


@pytest.mark.anyio
@pytest.mark.parametrize("root_path", ROOTS)
async def test_attack_by_a_root_path_that_the_guard_reads_differently(pair: Pair, root_path: str) -> None:
    for path in ATTACKS:
        for spelled in (path, root_path + path, root_path.rstrip("/") + path, root_path + root_path + path):
            await pair.check(scope_of(spelled, root_path=root_path))


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")  # applications still have it
@pytest.mark.parametrize("root_path", ["/root", "/admin", "/sub"])
async def test_attack_on_an_application_that_says_its_own_root_path(files: Path, root_path: str) -> None:
    pair = Pair(
        application_with_secrets(files, GUARDS["rules"](), root_path=root_path),
        application_with_secrets(files, None, root_path=root_path),
    )

    for path in ATTACKS:
        for spelled in (path, root_path + path, root_path + root_path + path):
            await pair.check(scope_of(spelled))


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["/outer", "/admin", "/outer/{tenant}"])
async def test_attack_on_an_application_that_is_mounted_in_another(files: Path, place: str) -> None:
    guarded = Starlette(routes=[Mount(place, application_with_secrets(files, GUARDS["rules"]()))])
    unguarded = Starlette(routes=[Mount(place, application_with_secrets(files, None))])
    at = place.replace("{tenant}", "acme")
    let_out = 0

    for path in ATTACKS:
        for spelled in (at + path, at + "/" + path, at.upper() + path, at + "\n" + path):
            scope = scope_of(spelled)
            let_out += MARK.encode() in (await answer(unguarded, scope))[1]
            assert MARK.encode() not in (await answer(guarded, scope))[1], scope

    assert let_out


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/admin/users", "/admin/users/", "/admin/users\n", "/admin//users", "/admin/./users"])
async def test_attack_on_a_guard_that_is_a_dependency_of_a_router(path: str) -> None:
    app = FastAPI()
    new_kit(cookie=CookieSettings(https_only=False)).install(app)
    guard = RouterGuard(protect=[Rule("/admin/**", role="admin")])
    router = APIRouter(prefix="/admin", dependencies=[Depends(guard)])

    @router.get("/users")
    async def users():
        return MARK

    app.include_router(router)

    for method in METHODS:
        for headers in OVERRIDES:
            status, body = await answer(app, scope_of(path, method=method, headers=headers))
            assert status != 200
            assert MARK.encode() not in body


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/static/private/secret.txt", "/sub/secret", "/starlette/hidden"])
async def test_attack_by_head_where_a_rule_names_get(files: Path, path: str) -> None:
    """The answer to HEAD has no body and still says too much: that it is there, how long it is, and its hash."""
    guard = RouterGuard(protect=[Rule("/**", methods=["GET"], role="admin")])

    assert (await answer(application_with_secrets(files, None), scope_of(path, method="HEAD")))[0] == 200
    assert (await answer(application_with_secrets(files, guard), scope_of(path, method="HEAD")))[0] == 401


@pytest.mark.anyio
@given(
    path=spellings(),
    method=st.sampled_from(["GET", "GET", "GET", *METHODS]),
    root_path=st.sampled_from(["", "", "", *ROOTS]),
    under_root=st.booleans(),
)
@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_attack_by_any_spelling_that_can_be_generated(
    pair: Pair, path: str, method: str, root_path: str, *, under_root: bool
) -> None:
    await pair.check(scope_of(root_path + path if under_root else path, method=method, root_path=root_path))


@pytest.mark.anyio
@given(path=st.text(max_size=20).map(lambda text: "/" + text))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_attack_by_any_text_at_all(pair: Pair, path: str) -> None:
    await pair.check(scope_of(path))
