"""The application, put together."""

from pathlib import Path

from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from examples.shop import api
from examples.shop.pages import account, devices, errors, front, staff
from examples.shop.sessions import guard, kit

DESCRIPTION = """
Every padlock below was written by the rules of one `RouterGuard`; nothing is said twice.

[Sign in](/login) as one of three people, come back, and try the operations out: the browser sends the cookie along.
"""

# FastAPI's own docs page loads Swagger UI from a CDN; this class serves the same page from this machine.
app = FastAPIOffline(
    title="Furrow, seeds with a memory",
    version="1.0",
    description=DESCRIPTION,
    redoc_url=None,
    static_url="/public/docs",
    favicon_url="/public/mark.svg",
    swagger_ui_parameters={"defaultModelsExpandDepth": -1},
)
app.mount("/public", StaticFiles(directory=Path(__file__).parent / "static"))
app.include_router(front.router)
app.include_router(account.router)
app.include_router(devices.router)
app.include_router(staff.router)
app.include_router(api.router)
errors.install(app)
kit.install(app, guard=guard)
