"""One application with and without its guard: what the second lets out, the first must keep.

Nobody is signed in here. Whatever the unguarded application lets out of a protected area under some odd spelling, the
guarded one must keep: the guard and what stands behind it may not read one path in two ways.
"""

from pathlib import Path

from fastapi import FastAPI, Request
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fastapi_sessionkit import CookieSettings, RouterGuard, Rule
from tests.support import new_kit

MARK = "TOP-SECRET"


PROTECTED = [
    Rule("/admin/**", role="admin"),
    Rule("/static/private/**", role="admin"),
    Rule("/sub/**", role="admin"),
    Rule("/starlette/hidden", role="admin"),
    Rule("/caf\u00e9/**", role="admin"),
    Rule("/a b/**", role="admin"),
    Rule("/docs", role="admin"),
]


GUARDS = {
    "rules": lambda: RouterGuard(protect=PROTECTED, login_path="/login"),
    "rules and methods": lambda: RouterGuard(
        protect=[Rule("/admin/**", role="admin", methods=["GET", "POST", "OPTIONS"]), *PROTECTED]
    ),
    "global": lambda: RouterGuard(
        protect=[Rule("/admin/**", role="admin")],
        global_protect=True,
        exclude=["/", "/open/**", "/static/public/**"],
        login_path="/login",
    ),
}


async def marked():
    return MARK


async def opened():
    return "open to everybody"


async def secret(request: Request) -> PlainTextResponse:
    return PlainTextResponse(MARK)


def application_with_secrets(files: Path, guard: RouterGuard | None, *, root_path: str = "") -> FastAPI:
    """One of every kind of thing that can stand behind a path; what is protected says so in its answer."""
    app = FastAPI(root_path=root_path)
    app.api_route("/admin", methods=["GET", "POST"])(marked)
    app.get("/admin/users/{name}")(marked)
    app.api_route("/admin/users", methods=["GET", "OPTIONS"])(marked)
    app.get("/admin/files/{path:path}")(marked)
    app.get("/caf\u00e9")(marked)
    app.get("/a b/c")(marked)
    app.api_route("/open", methods=["GET", "POST"])(opened)
    app.get("/login")(opened)
    app.mount("/sub", Starlette(routes=[Route("/", secret), Route("/secret", secret), Mount("/deep", routes=DEEP)]))
    app.mount("/static", StaticFiles(directory=files))
    app.add_route("/starlette/hidden", secret)
    if guard is not None:
        new_kit(cookie=CookieSettings(https_only=False)).install(app, guard=guard)
    return app


DEEP = [Route("/x", secret)]


NAMES = [
    "admin",
    "users",
    "files",
    "static",
    "private",
    "public",
    "secret.txt",
    "sub",
    "secret",
    "deep",
    "open",
    "docs",
]
ODDITIES = [
    "",
    ".",
    "..",
    "...",
    ";",
    ";x=1",
    "%2e",
    "%2E%2e",
    "%2f",
    "%5c",
    "%00",
    "%0a",
    "%252f",
    "\\",
    "\n",
    "\r",
    "\t",
    "\x00",
    "\x7f",
    "\x85",
    "\xa0",
    " ",
    "\u2028",
    "\u2029",
    "\u200b",
    "\ufeff",
    "\ufffd",
    "\u0131",
    "\uff0f",
    "~",
    "+",
]
JOINTS = ["/", "/", "/", "/", "//", "/./", "/../", "\\", "%2f", "%5c", "/;/", ""]


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """Protected paths, bent: names with oddities around them, joined in ways that something might read as a slash."""
    path = draw(st.sampled_from(["/", "/", "/", "//", "", "\\", "/./"]))
    for number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(NAMES))
        name = draw(st.sampled_from([name, name, name, name.upper(), name.title()]))
        before, after = (draw(st.sampled_from(["", "", "", *ODDITIES])) for _ in range(2))
        path += (draw(st.sampled_from(JOINTS)) if number else "") + before + name + after
    return path + draw(st.sampled_from(["", "", "", "/", "\n", "//", *ODDITIES]))
