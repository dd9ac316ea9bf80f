"""What the documentation says about an operation is what calling it does."""

from collections.abc import Iterator

from fastapi import APIRouter, Depends, FastAPI

from fastapi_sessionkit import RouterGuard, Rule, Session, permission, require_any_permission, role
from fastapi_sessionkit.testing import signed_in
from tests.openapi.support import OPEN, SCHEME, documented, endpoint
from tests.support import client_of, new_kit


def test_what_the_documentation_says_is_what_calling_does() -> None:
    guard = RouterGuard(
        protect=[
            Rule("/admin/health", public=True),
            Rule("/admin/**", role="admin"),
            Rule("/reports/**", methods=["POST"], requires=role("editor") & permission("w") | role("admin")),
            Rule("/users/7", role="admin"),
        ],
        login_path="/login",
        global_protect=True,
        exclude=["/public/**"],
    )
    kit, app = new_kit(), FastAPI()
    router = APIRouter(prefix="/reports", dependencies=[Depends(require_any_permission("r", "w"))])

    for method in ("GET", "POST"):
        for path in ("/admin/health", "/admin/x", "/public/x", "/login", "/other"):
            app.add_api_route(path, endpoint, methods=[method])
        router.add_api_route("/x", endpoint, methods=[method])
    app.include_router(router)
    kit.install(app, guard=guard)
    for each in people():
        client = client_of(app)
        names = set()
        if each is not None:
            signed_in(client, kit, each)
            names = {*map("role:{}".format, each.all_roles), *map("permission:{}".format, each.permissions)}
        for path, operations in documented(app)["paths"].items():
            for verb, described in operations.items():
                choices = described.get("security", [OPEN])
                may = any(SCHEME not in one or (each is not None and names.issuperset(one[SCHEME])) for one in choices)
                answer = client.request(verb, path).status_code
                assert answer == (200 if may else 401 if each is None else 403), (verb, path, each)


def people() -> Iterator[Session | None]:
    yield None
    for who in ({}, {"role": "admin"}, {"role": "editor"}, {"role": "editor", "permissions": ["w"]}, {"permissions": ["r"]},
                {"role": "admin", "permissions": ["r", "w"]}):  # fmt: skip
        yield Session(user_id="u", **who)
