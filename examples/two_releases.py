"""Two releases of a session's model, side by side on one store as in a rolling deploy: nobody is signed out, no field is lost.

The second one has a field that no stored session has, so it says how to make it of what is there. Try it:
    python -m examples.two_releases
"""

import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from fastapi_sessionkit import MemoryStore, Session, SessionKit, SessionStore

KEY = secrets.token_urlsafe(32)


class First(Session):
    theme: str = "light"


class Second(First):
    greeting: str  # required, and no session of the first release has it


def migrate(data: dict[str, Any], version: int) -> dict[str, Any]:
    """What this release would have stored, of what an older one did."""
    if version < 2:
        data["greeting"] = f"Hello, {data['user_id']}"
    return data


def first_release(store: SessionStore) -> FastAPI:
    kit = SessionKit(First, secret_key=KEY, backend=store)
    app = FastAPI()
    kit.install(app)

    @app.post("/login")
    async def login(request: Request) -> None:
        kit.set_session(request, First(user_id="ada"))

    @app.post("/dark")
    async def dark(request: Request) -> None:
        kit.update_session(request, theme="dark")

    @app.get("/me")
    async def me(session: Annotated[First, Depends(kit.require_session)]) -> str:
        return f"{session.user_id}, {session.theme}"

    return app


def second_release(store: SessionStore) -> FastAPI:
    kit = SessionKit(Second, secret_key=KEY, backend=store, model_version=2, migrate=migrate)
    app = FastAPI()
    kit.install(app)

    @app.post("/casual")
    async def casual(request: Request) -> None:
        kit.update_session(request, greeting="Hi")

    @app.get("/me")
    async def me(session: Annotated[Second, Depends(kit.require_session)]) -> str:
        return f"{session.greeting}, {session.theme}"

    return app


def main() -> None:
    """One browser, whose requests go to the one release and to the other."""
    store = MemoryStore()
    first = TestClient(first_release(store), base_url="https://testserver")
    second = TestClient(second_release(store), base_url="https://testserver")
    first.post("/login")
    second.cookies = first.cookies
    print("Second release, on the first one's session:", second.get("/me").json())
    second.post("/casual")
    print("First release, on what the second one wrote:", first.get("/me").json())
    first.post("/dark")
    print("Second release, after the first one wrote:", second.get("/me").json())


if __name__ == "__main__":
    main()
