"""``examples/shop``: requests made up from its OpenAPI. None fails, every answer is documented, and the padlocks hold."""

from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    ignored_auth,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.generation.hypothesis import setup

from examples.shop.app import app
from tests.examples.conftest import Visit

# Otherwise it puts a printer that says nothing into Hypothesis, and every later failure of this process is without values.
setup._is_patched = True  # type: ignore[attr-defined]  # noqa: SLF001

SCHEMA: Any = schemathesis.openapi.from_asgi("/openapi.json", app)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
]


def cookie_of(browser: TestClient) -> dict[str, str]:
    return (
        {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())} if browser.cookies else {}
    )


@pytest.mark.parametrize("username", ["", "cleo", "ada"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_to_a_made_up_request_is_documented(operation: Any, username: str, visit: Visit) -> None:
    headers = cookie_of(visit(username))
    fitting, unfit = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)
    allowed = {400, 401} if "security" in operation.definition.raw and not username else range(500)

    @given(case=fitting | unfit)
    @settings(max_examples=20)
    def try_out(case: Any) -> None:
        answer = case.call_and_validate(headers=headers, checks=CHECKS)
        assert answer.status_code in allowed

    try_out()


def test_hypothesis_still_reports_what_it_tried() -> None:
    """In all tests that run in one process with these."""

    @settings(database=None)
    @given(number=st.sampled_from([7]))
    def fails(number: int) -> None:
        raise AssertionError

    with pytest.raises(AssertionError) as found:
        fails()
    assert "number=7" in "".join(found.value.__notes__)


def test_there_is_something_to_make_requests_up_for() -> None:
    assert len(OPERATIONS) == 8
