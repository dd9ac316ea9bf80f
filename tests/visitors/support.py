"""A shop whose visitors have a basket, beside the sessions of those who sign in."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

from fastapi_sessionkit import Session, SessionKit, clear_session, get_session, require_session, set_session
from tests.support import SECRET

BASKET = "__Host-basket"


class Basket(BaseModel):
    items: list[str] = []
    note: str = ""


def basket_kit(model: type[Basket] = Basket, **options: Any) -> SessionKit[Basket]:
    return SessionKit(model, **{"secret_key": SECRET, "name": "basket", "anonymous": True, **options})


class Shop:
    """An application with both kits, of which ``ask`` counts as reading without a change."""

    def __init__(self, basket: SessionKit[Basket], user: SessionKit[Any] | None = None) -> None:
        self.basket, self.user, self.app = basket, user, FastAPI()
        app = self.app
        basket.install(app)
        if user is not None:
            user.install(app)
            _add_sign_in(app)
        Current = Annotated[Basket, Depends(basket.require_session)]  # noqa: N806

        @app.get("/basket")
        async def read(current: Current) -> list[str]:
            return current.items

        @app.get("/idle")
        async def idle() -> None: ...

        @app.post("/add/{item}")
        async def add(request: Request, item: str) -> None:
            basket.update_session(request, lambda now: {"items": [*now.items, item]})

        @app.post("/add-in-place/{item}")
        async def add_in_place(current: Current, item: str) -> None:
            current.items.append(item)

        @app.post("/set/{note}")
        async def change(request: Request, current: Current, note: str) -> str:
            basket.update_session(request, note=note)
            now = await basket.require_session(request)
            return now.note

        @app.post("/replace")
        async def replace(request: Request) -> None:
            basket.set_session(request, Basket(items=["new"]))

        @app.post("/empty")
        async def empty(request: Request) -> list[str]:
            basket.clear_session(request)
            return (await basket.require_session(request)).items

        @app.post("/move")
        async def move(request: Request) -> None:
            basket.regenerate_session(request)


def _add_sign_in(app: FastAPI) -> None:
    """By the names of the module, which mean the kit that users sign in with."""

    @app.post("/login")
    async def login(request: Request) -> None:
        set_session(request, Session(user_id="ada", role="user"))

    @app.post("/logout")
    async def logout(request: Request) -> None:
        clear_session(request)

    @app.get("/who")
    async def who(session: Annotated[Session | None, Depends(get_session)]) -> str | None:
        return None if session is None else session.user_id

    @app.get("/me")
    async def me(session: Annotated[Session, Depends(require_session)]) -> str:
        return session.user_id
