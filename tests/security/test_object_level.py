"""Attacks on ``owner``: a path that names somebody else's and shall count as one's own, however it is spelled.

The application has each path twice: below ``/ruled`` a rule of the gate decides, below ``/asked`` a dependency, and
below ``/guarded`` the guard of a router. Source: OWASP API Security Top 10, API1 (Broken Object Level Authorization).
"""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from starlette.websockets import WebSocketDisconnect

from fastapi_sessionkit import (
    Access,
    ConfigurationError,
    MemoryStore,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    custom,
    owner,
    require,
    role,
)
from fastapi_sessionkit.testing import signed_in
from tests.gate.support import ask, status, token_of
from tests.support import SECRET, Clock, client_of, new_kit

pytestmark = pytest.mark.anyio

SEVEN = Session(user_id="7")
WAYS = ["ruled", "guarded", "asked"]


def application(kit: SessionKit[Session]) -> FastAPI:
    """Answers what the endpoint was given."""
    app, guarded, asked = FastAPI(), APIRouter(), APIRouter()
    for router, way in ((app.router, "ruled"), (guarded, "guarded"), (asked, "asked")):

        @router.get(f"/{way}/{{user_id}}")
        @router.get(f"/{way}/{{user_id}}/orders/{{order}}")
        async def endpoint(user_id: str) -> str:
            return user_id

    rules = [Rule(f"/{way}/{{user_id}}/**", requires=owner("user_id")) for way in WAYS]
    app.include_router(guarded, dependencies=[Depends(RouterGuard(rules))])
    app.include_router(asked, dependencies=[Depends(require(owner("user_id")))])
    kit.install(app, guard=RouterGuard(rules[:1]))
    return app


@pytest.fixture
def kit() -> SessionKit[Session]:
    return new_kit()


async def answer(kit: SessionKit[Session], path: str, session: Session = SEVEN, **how: Any) -> int:
    """For a path as the router gets it: decoded once, and not tidied up."""
    return await status(application(kit), path, cookie=token_of(kit, session), **how)


@pytest.mark.parametrize("way", WAYS)
async def test_people_are_let_at_what_is_theirs(way: str, kit: SessionKit[Session]) -> None:
    client = signed_in(client_of(application(kit)), kit, SEVEN)

    assert [client.get(f"/{way}/{path}").status_code for path in ("7", "7/orders/8", "8", "8/orders/7")] == [
        200,
        200,
        403,
        403,
    ]
    assert client_of(application(kit)).get(f"/{way}/7").status_code == 401


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "spelling",
    ["007", "07", "7 ", " 7", "+7", "7.0", "7;x", "7,8", "\uff17", "\u0667", "7%20", "%37", "{user_id}", "*"],
)
async def test_attack_another_spelling_is_somebody_else(way: str, spelling: str, kit: SessionKit[Session]) -> None:
    assert await answer(kit, f"/{way}/{spelling}") == 403


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("mine", "asked"), [("Ada", "ada"), ("ada", "ADA"), ("caf\u00e9", "cafe\u0301"), ("007", "7")])
async def test_attack_case_and_composition_count(way: str, mine: str, asked: str, kit: SessionKit[Session]) -> None:
    assert await answer(kit, f"/{way}/{asked}", Session(user_id=mine)) == 403
    assert await answer(kit, f"/{way}/{mine}", Session(user_id=mine)) == 200


@pytest.mark.parametrize("way", WAYS)
async def test_attack_nothing_is_decoded_a_second_time(way: str, kit: SessionKit[Session]) -> None:
    """The server has decoded the path; what still looks encoded is a text."""
    session = Session(user_id="a b%20c")

    assert await answer(kit, f"/{way}/a b%20c", session) == 200
    assert [await answer(kit, f"/{way}/{each}", session) for each in ("a b c", "a%20b%20c", "a+b%20c")] == [403] * 3


@pytest.mark.parametrize("way", WAYS)
def test_attack_an_encoded_slash_joins_no_segments(way: str, kit: SessionKit[Session]) -> None:
    """The server decodes it, so there are two segments, of which the first one is the user's."""
    client = signed_in(client_of(application(kit)), kit, Session(user_id="7/orders/8"))

    assert client.get(f"/{way}/7%2Forders%2F8").status_code == 403
    assert client.get(f"/{way}/7/orders/8").status_code == 403


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "tail", ["", "/", "//", "/.", "/..", "/7/../8", "/8/../7", "//7", "/./7", "/7//orders/8", "/7\n"]
)
async def test_attack_a_segment_that_is_missing_or_empty_is_nobodys(
    way: str, tail: str, kit: SessionKit[Session]
) -> None:
    assert await answer(kit, f"/{way}{tail}") in {400, 403, 404}


@pytest.mark.parametrize("way", WAYS)
async def test_a_trailing_slash_changes_nothing(way: str, kit: SessionKit[Session]) -> None:
    assert await answer(kit, f"/{way}/7/") in {200, 307}
    assert await answer(kit, f"/{way}/8/") in {403, 307}


@pytest.mark.parametrize("way", WAYS)
async def test_attack_a_later_segment_of_ones_own_swallows_nothing(way: str, kit: SessionKit[Session]) -> None:
    assert await answer(kit, f"/{way}/8/orders/7") == 403
    assert await answer(kit, f"/{way}/8/{way}/7") in {403, 404}


@pytest.mark.parametrize("way", WAYS)
async def test_a_prefix_of_a_proxy_is_no_segment(way: str, kit: SessionKit[Session]) -> None:
    assert await answer(kit, f"/7/{way}/8", root_path="/7") == 403
    assert await answer(kit, f"/8/{way}/7", root_path="/8") == 200


async def test_attack_a_decision_remembered_for_one_path_is_not_for_another(kit: SessionKit[Session]) -> None:
    app, cookie = application(kit), token_of(kit, SEVEN)

    for _ in range(2):
        assert [await status(app, f"/ruled/{number}", cookie=cookie) for number in range(6, 9)] == [403, 200, 403]
    assert await status(app, "/ruled/7", cookie=token_of(kit, Session(user_id="8"))) == 403


def test_attack_mounted_twice_the_segment_is_the_one_that_each_guard_sees(kit: SessionKit[Session]) -> None:
    app, inner = FastAPI(), FastAPI()

    @inner.get("/users/{user_id}", dependencies=[Depends(require(owner("user_id")))])
    async def endpoint(user_id: str) -> str:
        return user_id

    app.mount("/of/{tenant}", inner)
    app.mount("/users/7", inner)
    kit.install(app, guard=RouterGuard([Rule("/of/{tenant}/**", requires=owner("tenant", field="tenants"))]))
    client = signed_in(client_of(app), kit, Session.model_validate({"user_id": "7", "tenants": ["acme"]}))

    paths = ["/of/acme/users/7", "/of/acme/users/8", "/of/7/users/7", "/users/7/users/7", "/users/7/users/8"]
    assert [client.get(path).status_code for path in paths] == [200, 403, 403, 200, 403]


def test_the_path_of_a_mount_has_parameters_for_what_is_mounted(kit: SessionKit[Session]) -> None:
    app, inner = FastAPI(), FastAPI()
    inner.get("/orders", dependencies=[Depends(require(owner("user_id")))])(lambda: None)
    app.mount("/users/{user_id}", inner)
    kit.install(app)
    client = signed_in(client_of(app), kit, SEVEN)

    assert [client.get(f"/users/{user}/orders").status_code for user in ("7", "07", "8")] == [200, 403, 403]


def test_a_prefix_of_an_included_router_has_parameters(kit: SessionKit[Session]) -> None:
    app, router = FastAPI(), APIRouter(prefix="/users/{user_id}", dependencies=[Depends(require(owner("user_id")))])
    router.get("/orders/{number:int}")(lambda number: number)
    app.include_router(router, prefix="/api")
    kit.install(app)
    client = signed_in(client_of(app), kit, SEVEN)

    assert [client.get(f"/api/users/{user}/orders/8").status_code for user in ("7", "07", "8")] == [200, 403, 403]


# Converters


def converting(kit: SessionKit[Session], parameter: str, field: str = "user_id") -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/7")
    router.get(f"/users/{{id:{parameter}}}", dependencies=[Depends(require(owner("id", field=field)))])(lambda: None)
    app.include_router(router, prefix="/api")
    kit.install(app)
    return app


@pytest.mark.parametrize("user", ["7", "007"])
def test_attack_a_number_with_a_leading_zero_is_nobodys_with_a_converter(user: str, kit: SessionKit[Session]) -> None:
    """The endpoint gets 7, so 007 may be neither 7's, who is not named so, nor 007's, who is somebody else."""
    client = signed_in(client_of(converting(kit, "int")), kit, Session(user_id=user))

    assert client.get("/api/7/users/007").status_code == 403
    assert client.get("/api/7/users/7").status_code == (200 if user == "7" else 403)


def test_attack_of_a_converted_value_only_its_own_spelling_counts(kit: SessionKit[Session]) -> None:
    key = "550e8400-e29b-41d4-a716-446655440000"
    session = Session.model_validate({"user_id": "7", "key": key, "ratio": "7.5"})
    keys = signed_in(client_of(converting(kit, "uuid", "key")), kit, session)
    ratios = signed_in(client_of(converting(kit, "float", "ratio")), kit, session)

    assert [keys.get(f"/api/7/users/{each}").status_code for each in (key, key.upper(), key.replace("-", ""))] == [
        200,
        403,
        403,
    ]
    assert [ratios.get(f"/api/7/users/{each}").status_code for each in ("7.5", "07.5", "7.50")] == [200, 403, 403]


async def test_attack_a_path_parameter_is_compared_as_a_whole(kit: SessionKit[Session]) -> None:
    app, cookie = converting(kit, "path"), token_of(kit, SEVEN)

    tails = ["7", "7/", "7/8", "8/7", "", "/7", "7/../8", "./7"]
    assert [await status(app, f"/api/7/users/{tail}", cookie=cookie) for tail in tails] == [200, *[403] * 7]


# WebSockets, functions, hooks, and a second look


def test_a_handshake_is_held_against_the_segments(kit: SessionKit[Session]) -> None:
    app = FastAPI()

    @app.websocket("/ruled/{user_id}")
    @app.websocket("/asked/{user_id}", dependencies=[Depends(require(owner("user_id")))])
    async def endpoint(socket: WebSocket, user_id: str) -> None:
        await socket.accept()
        await socket.send_text(user_id)
        await socket.close()

    kit.install(app, guard=RouterGuard([Rule("/ruled/{user_id}", requires=owner("user_id"))]))
    client = signed_in(client_of(app), kit, SEVEN)

    for way in ("ruled", "asked"):
        with client.websocket_connect(f"wss://testserver/{way}/7") as socket:
            assert socket.receive_text() == "7"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"wss://testserver/{way}/8"):
            pass


def test_a_function_gets_the_path_parameters_as_text(kit: SessionKit[Session]) -> None:
    app, seen = FastAPI(), list[Any]()

    def check(session: Any, segments: Any) -> bool:
        seen.append((session, dict(segments)))
        return True

    app.get("/a/{x}/{n:int}/{p:path}", dependencies=[Depends(require(custom(check)))])(lambda: None)
    kit.install(app)
    client = signed_in(client_of(app), kit, SEVEN)

    assert client.get("/a/x%20y/5/c/d").status_code == 200
    assert client.get("/a/x/05/c").status_code == 200
    assert seen == [(SEVEN, {"x": "x y", "n": "5", "p": "c/d"}), (SEVEN, {"x": "x", "p": "c"})]


async def test_an_access_hook_leaves_owner_alone(kit: SessionKit[Session]) -> None:
    hooked = new_kit(access=Access(get_roles=lambda session: ["admin"]))
    app = FastAPI()
    app.get("/users/{id}")(lambda: None)
    hooked.install(app, guard=RouterGuard([Rule("/users/{id}", requires=owner("id") & role("admin"))]))
    cookie = token_of(hooked, SEVEN)

    assert [await status(app, f"/users/{number}", cookie=cookie) for number in (7, 8)] == [200, 403]


def by_gate(app: FastAPI, kit: SessionKit[Session], endpoint: Any) -> None:
    app.post("/teams/{team}")(endpoint)
    kit.install(app, guard=RouterGuard([Rule("/teams/{team}", requires=owner("team", field="teams"))]))


def by_mount(app: FastAPI, kit: SessionKit[Session], endpoint: Any) -> None:
    inner = FastAPI()
    inner.post("/{team}")(endpoint)
    app.mount("/teams", inner)
    kit.install(app, guard=RouterGuard([Rule("/teams/{team}", requires=owner("team", field="teams"))]))


def by_dependency(app: FastAPI, kit: SessionKit[Session], endpoint: Any) -> None:
    app.post("/teams/{team}", dependencies=[Depends(require(owner("team", field="teams")))])(endpoint)
    kit.install(app)


@pytest.mark.parametrize("build", [by_gate, by_mount, by_dependency])
@pytest.mark.parametrize(("teams", "expected"), [(["red"], 403), (["blue", "red"], 200)])
async def test_attack_what_is_ones_own_no_more_when_the_body_is_complete(
    build: Any, teams: list[str], expected: int, clock: Clock
) -> None:
    kit = SessionKit(secret_key=SECRET, backend=MemoryStore(), clock=clock)
    app = FastAPI()

    async def endpoint(request: Request) -> None:
        await request.body()

    build(app, kit, endpoint)
    parts = iter([(b"1", True), (b"2", False)])

    async def receive() -> Any:
        body, more = next(parts)
        if not more:
            clock.advance(6)
            await kit.sessions.update_user("ada", teams=teams)
        return {"type": "http.request", "body": body, "more_body": more}

    cookie = token_of(kit, Session.model_validate({"user_id": "ada", "teams": ["blue"]}))

    assert await status(app, "/teams/blue", method="POST", cookie=cookie, receive=receive) == expected


async def test_attack_two_decisions_about_one_request_keep_their_segments_apart(kit: SessionKit[Session]) -> None:
    """The gate's ``{id}`` is the team, the route's is the user; each is asked once more after the other."""
    app, seen = FastAPI(), list[str]()

    async def later(session: Any, segments: Any) -> bool:
        seen.append(segments["id"])
        return True

    asked = Depends(require(custom(later) & owner("id")))

    async def endpoint(session: Annotated[Any, Depends(kit.require(custom(later)))]) -> None: ...

    app.get("/teams/{team}/users/{id}", dependencies=[asked])(endpoint)

    kit.install(app, guard=RouterGuard([Rule("/teams/{id}/**", requires=custom(later) & owner("id", field="team"))]))
    cookie = token_of(kit, Session.model_validate({"user_id": "7", "team": "8"}))

    assert await status(app, "/teams/8/users/7", cookie=cookie) == 200
    assert await status(app, "/teams/7/users/8", cookie=cookie) == 403
    assert seen == ["8", "7", "7", "7"]


# At the start


@pytest.mark.parametrize("path", ["/users/{id}", "/users", "/users/{user_ids}", "/users/user_id"])
def test_a_route_without_the_parameter_fails_the_start(path: str, kit: SessionKit[Session]) -> None:
    app = FastAPI()
    app.get(path, dependencies=[Depends(require(role("admin") | owner("user_id")))])(lambda: None)
    kit.install(app)

    with pytest.raises(ConfigurationError, match=r"owner:user_id reads the path parameter user_id"), client_of(app):
        pass


def test_a_parameter_of_the_host_is_one_that_the_route_has(kit: SessionKit[Session]) -> None:
    app, of_user = FastAPI(), FastAPI()
    of_user.get("/mine", dependencies=[Depends(require(owner("user_id")))])(lambda: "mine")
    app.host("{user_id}.example.com", of_user)
    kit.install(app)

    with signed_in(client_of(app), kit, SEVEN) as client:
        token = {"cookie": f"{kit.cookie_name}={client.cookies[kit.cookie_name]}"}
        for host, expected in [("7.example.com", 200), ("8.example.com", 403)]:
            assert client.get(f"https://{host}/mine", headers=token).status_code == expected


def test_a_websocket_or_kits_dependency_without_the_parameter_fails_to_start(kit: SessionKit[Session]) -> None:
    app = FastAPI()

    @app.websocket("/live")
    async def live(socket: WebSocket, session: Annotated[Session, Depends(kit.require(owner("user_id")))]) -> None: ...

    kit.install(app)

    with pytest.raises(ConfigurationError, match=r"/live: owner:user_id reads"), client_of(app):
        pass


async def test_a_late_route_without_the_parameter_fails_its_first_request(kit: SessionKit[Session]) -> None:
    app = application(kit)
    cookie = token_of(kit, SEVEN)
    assert await status(app, "/asked/7", cookie=cookie) == 200

    app.get("/late", dependencies=[Depends(require(owner("user_id")))])(lambda: "secret")

    for _ in range(2):
        with pytest.raises(ConfigurationError, match="/late: owner:user_id reads"):
            await ask(app, "/late", cookie=cookie)


def test_owner_taken_for_a_dependency_fails_the_start(kit: SessionKit[Session]) -> None:
    app = FastAPI()
    app.get("/users/{user_id}", dependencies=[Depends(owner)])(lambda: None)
    kit.install(app)

    with pytest.raises(ConfigurationError, match=r'write Depends\(require\(owner\("user_id"\)\)\)'), client_of(app):
        pass


def test_a_dependency_that_is_overridden_needs_no_parameter(kit: SessionKit[Session]) -> None:
    app, asked = FastAPI(), require(owner("user_id"))
    app.get("/users", dependencies=[Depends(asked)])(lambda: None)
    app.dependency_overrides[asked] = lambda: None
    kit.install(app)

    with client_of(app) as client:
        assert client.get("/users").status_code == 200


class Strict(Session, extra="forbid"):
    pass


def test_a_field_that_the_model_has_not_fails_the_start() -> None:
    app, kit = FastAPI(), SessionKit(Strict, secret_key=SECRET)
    teams = owner("team", field="teams")
    with pytest.raises(ConfigurationError, match="which has no teams"):
        kit.install(FastAPI(), guard=RouterGuard([Rule("/{team}", requires=teams)]))

    app.get("/{team}", dependencies=[Depends(require(teams))])(lambda: None)
    kit.install(app)

    with pytest.raises(ConfigurationError, match="which has no teams"), client_of(app):
        pass
