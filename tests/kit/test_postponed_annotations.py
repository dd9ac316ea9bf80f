"""Postponed annotations in a factory: a dependency that becomes a query parameter fails the start."""

import pytest
from fastapi import FastAPI

from fastapi_sessionkit import ConfigurationError
from tests.kit import postponed
from tests.support import client_of, new_kit


def ask(name: str) -> int:
    app, kit = FastAPI(), new_kit()
    kit.install(app)
    postponed.add_routes(app, name, kit)
    with client_of(app) as client:
        return client.get("/ask").status_code


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("alias", "session: Local could not be resolved"),
        ("depends", r"session: Annotated\[Session, Depends\(kit.require_session\)\] could not be resolved"),
        ("optional", "session: Local could not be resolved"),
        ("guard", r"_: Annotated\[Any, Depends\(Admin\)\] could not be resolved"),
        ("quoted_inside", "session: Local could not be resolved"),
        ("annotated_inside", "session: Local could not be resolved"),
    ],
)
def test_a_dependency_that_became_a_query_parameter_fails_the_start(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^/ask: {said}.*top of the module"):
        ask(name)


@pytest.mark.parametrize(("name", "status"), [("of_the_module", 401), ("not_quoted", 401), ("plain", 200)])
def test_a_text_that_can_be_resolved_is_fine(name: str, status: int) -> None:
    assert ask(name) == status


def test_in_a_dependency_it_is_found_too() -> None:
    app, kit = FastAPI(), new_kit()
    kit.install(app)
    postponed.add_dependency(app, kit)

    with pytest.raises(ConfigurationError, match=r"^/ask: session: Local could not be resolved"):
        client_of(app).get("/ask")


def test_on_a_route_that_is_added_later_it_fails_the_next_request() -> None:
    app, kit = FastAPI(), new_kit()
    kit.install(app)
    with client_of(app) as client:
        assert client.get("/ask").status_code == 404
        postponed.add_routes(app, "optional", kit)

        with pytest.raises(ConfigurationError, match=r"^/ask: session: Local could not be resolved"):
            client.get("/ask")
