"""The application, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from examples.accounts import account, api, door, town
from examples.accounts.page import install_errors
from examples.accounts.sessions import guard, kit
from examples.accounts.users import create_tables, engine


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await create_tables()
    yield
    await engine.dispose()


app = FastAPI(title="Accounts", lifespan=lifespan, docs_url=None, redoc_url=None)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
for part in (account, api, door, town):
    app.include_router(part.router)
install_errors(app)
# Authlib keeps in request.session what it must find again when somebody comes back from the provider.
kit.install(app, guard=guard, request_session=True)
