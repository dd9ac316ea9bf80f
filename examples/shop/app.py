"""The application, put together."""

from pathlib import Path

from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from examples.shop import api, security
from examples.shop.pages import account, closing, devices, docs, errors, front, staff
from examples.shop.sessions import baskets, guard, kit

DESCRIPTION = """
Every padlock below was written by the rules of one `RouterGuard`; nothing is said twice.

Sign in, and try the operations out: the browser sends the cookie along.
"""
AUTHORIZE = "There is nothing to fill in: once you have [signed in](/login?next=/docs), your browser sends this cookie by itself."

# FastAPI's own docs page loads Swagger UI from a CDN; this class serves its files, and pages/docs.py the page.
app = FastAPIOffline(
    title="Furrow, seeds with a memory",
    version="1.0",
    description=DESCRIPTION,
    docs_url=None,
    redoc_url=None,
    static_url="/public/docs",
)
app.mount("/public", StaticFiles(directory=Path(__file__).parent / "static"))
app.include_router(front.router)
app.include_router(account.router)
app.include_router(closing.router)
app.include_router(devices.router)
app.include_router(staff.router)
app.include_router(docs.router)
app.include_router(api.router)
errors.install(app)
kit.install(app, guard=guard)
baskets.install(app)
security.show()
app.openapi()["components"]["securitySchemes"][kit.scheme_name]["description"] = AUTHORIZE
