"""Applications, and what their documentation says about an operation."""

import copy
import re
from typing import Any

from fastapi import FastAPI
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from fastapi_sessionkit import (
    RouterGuard,
    Rule,
    Session,
)
from tests.support import client_of, new_kit

SCHEME = "session_cookie"


Schema = dict[str, Any]


def documented(app: FastAPI) -> Schema:
    """The schema as a client gets it, which is valid OpenAPI."""
    schema: Schema = app.openapi()
    validator = OpenAPIV30SpecValidator if schema["openapi"].startswith("3.0") else OpenAPIV31SpecValidator
    validator(copy.deepcopy(schema)).validate()
    return schema


async def endpoint() -> None: ...


async def with_parameter(x: str) -> None: ...


def app_of(*paths: str, guard: RouterGuard | None = None, methods: list[str] | None = None, **options: Any) -> FastAPI:
    app = FastAPI(**options)
    for path in paths:
        app.add_api_route(path, with_parameter if "{" in path else endpoint, methods=methods or ["GET"])
    new_kit().install(app, guard=guard)
    return app


def operation(app: FastAPI, path: str, method: str = "get") -> Schema:
    found: Schema = documented(app)["paths"][path][method]
    return found


def security(rules: list[Rule], path: str, method: str = "GET", **settings: Any) -> Any:
    """What the documentation says that an operation needs; ``None`` when it says nothing."""
    app = app_of(path, guard=RouterGuard(protect=rules, **settings), methods=[method])
    return operation(app, re.sub(r":\w+}", "}", path), method.lower()).get("security")


def needs(*names: str) -> dict[str, list[str]]:
    return {SCHEME: list(names)}


ADMIN = needs("role:admin")
OPEN: dict[str, list[str]] = {}


def by_clearance(rule: Rule, session: Session | None) -> bool:
    """Lets in whom the rule's own condition would not, and the other way round."""
    return session is not None and session.email is not None


CHECKED = "custom:by_clearance"


def started(app: FastAPI) -> None:
    with client_of(app) as client:
        client.get("/")
