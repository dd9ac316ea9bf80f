"""An anonymous kit has no users: what asks for one is refused, and the names of the module mean the other kit."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, Field, model_validator

from fastapi_sessionkit import (
    ConfigurationError,
    RouterGuard,
    Rule,
    Session,
    SessionKit,
    clear_session,
    custom,
    fresh,
    get_session,
    get_session_info,
    has_role,
    is_authenticated,
    owner,
    regenerate_session,
    require,
    require_fresh,
    require_role,
    require_session,
    role,
    set_session,
    update_session,
)
from fastapi_sessionkit import (
    signed_in as somebody,
)
from fastapi_sessionkit.testing import signed_in
from tests.support import SECRET, client_of, new_kit
from tests.visitors.support import Basket, Shop, basket_kit

# The model


class Needs(BaseModel):
    items: list[str]
    owner: str
    note: str = ""


class Never(BaseModel):
    note: str = ""

    @model_validator(mode="after")
    def never(self) -> "Never":
        raise ValueError("not like this")


class Lost(BaseModel):
    secret: Any = Field(default_factory=object)


def test_every_field_needs_a_default() -> None:
    with pytest.raises(ConfigurationError, match=r"Needs\(\), so every field needs a default: items, owner has none"):
        SessionKit(Needs, secret_key=SECRET, anonymous=True)


@pytest.mark.parametrize("model", [Never, Lost, Session])
def test_a_model_whose_defaults_can_not_be_made_or_kept_is_refused(model: Any) -> None:
    with pytest.raises(ConfigurationError, match="every field needs a default"):
        SessionKit(model, secret_key=SECRET, anonymous=True)


@pytest.mark.parametrize("wrong", [None, 1, "yes"])
def test_anonymous_is_true_or_false(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"SessionKit\(anonymous="):
        SessionKit(Basket, secret_key=SECRET, anonymous=wrong)


def test_a_user_that_may_be_none_is_for_visitors_only() -> None:
    class Claim(Session):
        user_id: str | None = None  # type: ignore[assignment]

    SessionKit(Claim, secret_key=SECRET, anonymous=True)
    with pytest.raises(ConfigurationError, match="anonymous=True"):
        SessionKit(Claim, secret_key=SECRET)


# Guards and requirements


def test_a_guard_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nobody signs in"):
        basket_kit().install(FastAPI(), guard=RouterGuard(protect=[Rule("/admin")]))


@pytest.mark.parametrize(
    "asks",
    [
        lambda kit: kit.require_role("admin"),
        lambda kit: kit.require_permission("a"),
        lambda kit: kit.require_any_permission("a"),
        lambda kit: kit.require_fresh(60),
        lambda kit: kit.require(custom(lambda _: True)),
        lambda kit: kit.has_role("admin"),
        lambda kit: kit.has_permission("a"),
        lambda kit: kit.has_all_permissions("a"),
        lambda kit: kit.has_any_permission("a"),
        lambda kit: kit.has_role_permission("a", "b"),
    ],
    ids=range(10),
)
def test_what_asks_for_more_than_a_visitor_is_refused(asks: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigurationError, match="nobody signs in"):
        asks(basket_kit())


def test_nobody_is_ever_signed_in() -> None:
    shop = Shop(basket_kit())

    @shop.app.get("/signed-in")
    async def ask(answer: Annotated[bool, Depends(shop.basket.is_authenticated)]) -> bool:
        return answer

    client = client_of(shop.app)
    client.post("/add/tea")

    assert client.get("/signed-in").json() is False


# The names of the module


def add_by_module(app: FastAPI) -> None:
    @app.get("/module")
    async def read(
        current: Annotated[Any, Depends(require_session)], same: Annotated[Any, Depends(get_session)]
    ) -> list[str]:
        assert current.items == same.items
        return list(current.items)

    @app.post("/module/{item}")
    async def add(request: Request, item: str) -> None:
        update_session(request, items=[item])

    @app.post("/module-set")
    async def replace(request: Request) -> None:
        set_session(request, Basket(items=["set"]))

    @app.post("/module-move")
    async def move(request: Request) -> None:
        regenerate_session(request)

    @app.delete("/module")
    async def empty(request: Request) -> None:
        clear_session(request)

    @app.get("/module-info")
    async def info(
        info: Annotated[Any, Depends(get_session_info)], signed: Annotated[bool, Depends(is_authenticated)]
    ) -> list[bool]:
        return [info is not None, signed]


def test_alone_on_an_application_it_is_what_the_module_means() -> None:
    app = FastAPI()
    basket_kit().install(app)
    add_by_module(app)
    client = client_of(app)

    assert client.get("/module").json() == []
    assert "set-cookie" not in client.get("/module").headers
    assert client.get("/module-info").json() == [False, False]
    client.post("/module/tea")
    client.post("/module-move")
    assert client.get("/module").json() == ["tea"]
    assert client.get("/module-info").json() == [True, False]
    client.delete("/module")
    assert client.get("/module").json() == []
    client.post("/module-set")
    assert client.get("/module").json() == ["set"]


@pytest.mark.parametrize("first", [True, False])
def test_beside_the_kit_of_users_the_module_means_theirs(first: bool) -> None:
    app, basket, user = FastAPI(), basket_kit(), new_kit()
    for kit in (basket, user) if first else (user, basket):
        kit.install(app)

    @app.get("/me")
    async def me(session: Annotated[Session, Depends(require_role("admin"))]) -> str:
        return session.user_id

    @app.post("/promote")
    async def promote(request: Request) -> None:
        update_session(request, role="admin")

    guarded = APIRouter(dependencies=[Depends(RouterGuard(protect=[Rule("/guarded", role="admin")]))])

    @guarded.get("/guarded")
    async def read_guarded() -> None: ...

    app.include_router(guarded)
    with client_of(app) as client:
        assert [client.get(path).status_code for path in ("/me", "/guarded")] == [401, 401]
        assert client.post("/promote").status_code == 401
        signed_in(client, user, Session(user_id="ada"))
        assert [client.get(path).status_code for path in ("/me", "/guarded")] == [403, 403]
        client.post("/promote")
        assert [client.get(path).status_code for path in ("/me", "/guarded")] == [200, 200]


def test_two_kits_of_users_are_still_ambiguous_beside_it() -> None:
    app = FastAPI()
    for kit in (new_kit(), basket_kit(), new_kit(name="staff")):
        kit.install(app)
    app.get("/me")(_asking(require_session))

    with pytest.raises(ConfigurationError, match="more than one SessionKit"), client_of(app):
        pass


def test_two_kits_of_visitors_alone_are_ambiguous_too() -> None:
    app = FastAPI()
    for kit in (basket_kit(), basket_kit(name="wizard")):
        kit.install(app)
    app.get("/me")(_asking(require_session))

    with pytest.raises(ConfigurationError, match="more than one SessionKit"), client_of(app):
        pass


def test_what_is_mounted_with_a_basket_of_its_own_means_the_users_around_it() -> None:
    app, inner, user = FastAPI(), FastAPI(), new_kit()
    user.install(app)
    basket_kit().install(inner)
    inner.get("/me")(_asking(require_role("admin")))
    inner.get("/who")(_asking(get_session))
    app.mount("/inner", inner)
    client = client_of(app)

    assert client.get("/inner/me").status_code == 401
    signed_in(client, user, Session(user_id="ada", role="admin"))
    assert client.get("/inner/me").status_code == 200
    assert client.get("/inner/who").json() == "Session"


@pytest.mark.parametrize(
    "asks",
    [require_role("admin"), require_fresh(60), require(custom(lambda _: True)), require(role("a") | custom(bool)), has_role("a"),
     require(somebody | role("a")), require(somebody & (somebody | fresh(60))), require(owner("id") | somebody),
     RouterGuard(protect=[Rule("/ask")]), RouterGuard(protect=[], global_protect=True), RouterGuard(protect=[])],
    ids=range(11),
)  # fmt: skip
def test_alone_it_lets_nobody_in_whom_the_module_asks_for(asks: Any) -> None:
    app = FastAPI()
    basket_kit().install(app)
    app.get("/ask/{id}")(_asking(asks))
    client = client_of(app)

    with pytest.raises(ConfigurationError, match="nobody signs in"):
        client.get("/ask/1")


def _asking(dependency: Any) -> Callable[..., Any]:
    async def ask(answer: Annotated[Any, Depends(dependency)]) -> str:
        return type(answer).__name__

    return ask


# OpenAPI


def test_a_visitors_session_is_no_security_scheme() -> None:
    app = Shop(basket_kit()).app
    add_by_module(app)

    schema = app.openapi()

    assert "securitySchemes" not in schema.get("components", {})
    assert not any("security" in operation for path in schema["paths"].values() for operation in path.values())


@pytest.mark.parametrize("first", [True, False])
def test_beside_the_kit_of_users_only_theirs_is_one(first: bool) -> None:
    app, basket, user = FastAPI(), basket_kit(), new_kit()
    for kit in (basket, user) if first else (user, basket):
        kit.install(app)
    app.get("/basket")(_asking(basket.require_session))
    app.get("/kits")(_asking(user.require_session))
    app.get("/modules")(_asking(require_session))

    with client_of(app):
        schema = app.openapi()

    assert list(schema["components"]["securitySchemes"]) == ["session_cookie"]
    assert schema["components"]["securitySchemes"]["session_cookie"]["name"] == "__Host-session"
    assert ["security" in schema["paths"][path]["get"] for path in ("/basket", "/kits", "/modules")] == [
        False,
        True,
        True,
    ]
    assert basket.document(schema) is schema


def test_a_basket_never_comes_from_the_client() -> None:
    app = FastAPI()
    basket_kit().install(app)

    @app.post("/basket")
    async def take(basket: Basket) -> None: ...

    with pytest.raises(ConfigurationError, match="takes its Basket from the body"), client_of(app):
        pass


def test_a_visitor_has_no_token_of_their_own() -> None:
    with pytest.raises(ConfigurationError, match=r"bearer=True to the SessionKit that users sign in with"):
        SessionKit(Basket, secret_key=SECRET, anonymous=True, bearer=True)
