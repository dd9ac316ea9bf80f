"""Why somebody may, or may not: explanations and the table of people."""

from pathlib import Path

import pytest
from fastapi import Depends, FastAPI

from fastapi_sessionkit import ConfigurationError, RouterGuard, Rule, fresh, owner, require
from fastapi_sessionkit.audit import Person
from tests.audit.support import audit_of, endpoint, with_id
from tests.support import new_kit


@pytest.mark.parametrize(
    ("who", "method", "path", "allowed", "missing"),
    [
        ("anonymous", "GET", "/", True, ()),
        ("anonymous", "GET", "/admin/users", False, ("nobody is signed in",)),
        ("role:editor", "GET", "/admin/users", False, ("role:admin is missing",)),
        ("role:admin", "get", "/admin/users", True, ()),
        ("ann=role:editor", "POST", "/reports", False, ("permission:write is missing", "role:admin is missing")),
        ("role:editor, permission:write", "POST", "/reports", True, ()),
        ("user:42", "GET", "/users/42/mail", True, ()),
        ("user:42", "GET", "/users/43/mail", False, ("owner:user_id is somebody else's", "role:admin is missing")),
        ("role:editor", "GET", "/users/43/mail", None, ("owner:user_id depends on whose it is",)),
        ("role:editor,owner:user_id", "GET", "/users/43/mail", True, ()),
        ("role:admin", "GET", "/items/7", False, ("role:editor is missing",)),
        ("role:admin", "GET", "/items/8", True, ()),
        ("role:admin", "GET", "/paid", None, ("custom:paid is a function of the application",)),
        ("custom:paid", "GET", "/paid", True, ()),
        ("role:admin", "GET", "/audit/log", False, ("role:auditor is missing",)),
        ("role:auditor", "GET", "/audit/log", True, ()),
        ("role:x", "GET", "/partners/list", False, ("role:partner is missing",)),
        ("anonymous", "GET", "/nowhere", False, ("nobody is signed in",)),
        ("anonymous", "WEBSOCKET", "/ws", False, ("nobody is signed in",)),
        ("anonymous", "GET", "/prices", True, ()),
        ("role:admin", "DELETE", "/files/a/b", True, ()),
        ("role:editor", "DELETE", "/files/a/b", False, ("role:admin is missing",)),
        ("role:editor", "GET", "/files/a/b", True, ()),
    ],
)
def test_an_explanation_says_what_is_missing(
    who: str, method: str, path: str, allowed: bool | None, missing: tuple[str, ...], tmp_path: Path
) -> None:
    found = audit_of(tmp_path).explain(method, path, who)

    assert (found.allowed, found.missing) == (allowed, missing)


def test_an_explanation_has_the_rules_that_were_tried(tmp_path: Path) -> None:
    step = audit_of(tmp_path).explain("GET", "/users/1/mail").decided_by

    assert step is not None
    assert [(str(each.rule), each.outcome) for each in step.tried] == [
        ("/admin/health", "another path"),
        ("/admin/**", "another path"),
        ("POST /reports/**", "another method"),
        ("/users/{user_id}/**", "decides"),
    ]


@pytest.mark.parametrize(
    ("who", "path", "by", "reason"),
    [
        ("role:x", "/admin/users", "gate", "rule /admin/**"),
        ("role:x", "/partners/list", "router", "rule /partners/**"),
        ("role:x", "/audit/log", "dependency", "require_role"),
        ("anonymous", "/audit/log", "gate", "global protection"),
        ("anonymous", "/prices", "gate", "the endpoint is marked @public"),
        ("anonymous", "/admin//users", "gate", "ambiguous path"),
    ],
)
def test_an_explanation_says_who_decides(who: str, path: str, by: str, reason: str, tmp_path: Path) -> None:
    step = audit_of(tmp_path).explain("GET", path, who).decided_by

    assert step is not None
    assert (step.by, step.reason) == (by, reason)


def test_nothing_decides_where_nothing_is_asked(tmp_path: Path) -> None:
    found = audit_of(tmp_path, None).explain("GET", "/nowhere")

    assert found.allowed
    assert found.operation is None
    assert found.decided_by is None


def test_freshness_depends_on_when_somebody_signed_in() -> None:
    app, kit = FastAPI(), new_kit()
    app.add_api_route("/a", endpoint, dependencies=[Depends(require(fresh(600)))])
    kit.install(app)
    audit = kit.audit(app)

    assert [audit.explain("GET", "/a", who).allowed for who in ("anonymous", "user:1", "fresh:60s", "fresh:900s")] == [
        False, None, True, None
    ]  # fmt: skip


def test_a_dependency_on_an_owner_reads_the_path() -> None:
    app, kit = FastAPI(), new_kit()
    app.add_api_route("/users/{user_id}", with_id, dependencies=[Depends(require(owner("user_id")))])
    kit.install(app)

    assert [kit.audit(app).explain("GET", f"/users/{user}", "user:1").allowed for user in (1, 2)] == [True, False]


def test_a_guard_of_a_router_sees_the_path_below_a_mount() -> None:
    app, sub, kit = FastAPI(), FastAPI(), new_kit()
    sub.add_api_route("/page", endpoint, dependencies=[Depends(RouterGuard([Rule("/page", role="inner")]))])
    app.mount("/sub", sub)
    kit.install(app)

    assert kit.audit(app).explain("GET", "/sub/page", "role:x").missing == ("role:inner is missing",)


# People


@pytest.mark.parametrize(
    ("text", "name", "atoms"),
    [
        ("anonymous", "anonymous", set()),
        ("admin=role:admin", "admin", {"role:admin"}),
        ("role:editor", "role:editor", {"role:editor"}),
        ("ann=role:editor, permission:reports:write", "ann", {"role:editor", "permission:reports:write"}),
        ("role:a=b", "role:a=b", {"role:a=b"}),
        ("bob=signed_in,user:42", "bob", {"signed_in", "user:42"}),
    ],
)
def test_a_person_is_read_from_a_text(text: str, name: str, atoms: set[str]) -> None:
    assert Person.read(text) == Person(name, frozenset(atoms))


@pytest.mark.parametrize("text", ["", "admin", "admin=", "x=rolle:admin", "x=role:", "x=fresh:soon", "x=fresh:60"])
def test_what_is_no_person_is_an_error_that_says_what_is(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"role:admin, permission:reports:write, user:42"):
        Person.read(text)


def test_a_matrix_has_each_operation_and_each_person(tmp_path: Path) -> None:
    rows = audit_of(tmp_path).matrix({"admin": "role:admin", "ed": ["role:editor"], "anonymous": []})
    found = {row.operation.path: {name: cell.access for name, cell in row.access.items()} for row in rows}

    assert found["/admin/users"] == {"admin": "allowed", "ed": "refused", "anonymous": "refused"}
    assert found["/items/{item}"] == {"admin": "depends", "ed": "allowed", "anonymous": "refused"}
    assert found["/paid"]["admin"] == "depends"


def test_a_cell_says_why(tmp_path: Path) -> None:
    rows = {row.operation.path: row.access["x"] for row in audit_of(tmp_path).matrix(["x=role:admin"])}

    assert rows["/audit/log"].why == "role:auditor is missing"
    assert rows["/items/{item}"].why == "refused at /items/7; allowed otherwise"
