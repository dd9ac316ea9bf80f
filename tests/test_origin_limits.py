"""Edges of the cross-origin check: the last port, white space around a header, and a request whose scheme no server said."""

from typing import Any

import pytest

from fastapi_sessionkit._request.origin import OriginPolicy, refusal
from fastapi_sessionkit.errors import ConfigurationError

HOST = (b"host", b"app.example")


def allows(*headers: tuple[bytes, bytes], **scope: Any) -> bool:
    return OriginPolicy().allows({"type": "http", "method": "POST", "path": "/", "headers": [HOST, *headers], **scope})


def test_a_trusted_origin_has_a_port_that_there_is() -> None:
    assert OriginPolicy(["https://app.example:65535"]).trusts("https://app.example:65535")
    with pytest.raises(ConfigurationError, match="65536"):
        OriginPolicy(["https://app.example:65536"])


@pytest.mark.parametrize("header", [(b"sec-fetch-site", b" same-origin\t"), (b"origin", b" https://app.example\t")])
def test_white_space_around_a_header_is_none_of_its_value(header: tuple[bytes, bytes]) -> None:
    assert allows(header, scheme="https")


def test_a_request_whose_scheme_no_server_said_is_plain_http() -> None:
    assert allows((b"origin", b"http://app.example"))
    assert not allows((b"origin", b"http://app.example"), scheme="https")


def test_what_is_said_of_providers_stands_behind_where_a_sign_in_came_from() -> None:
    form = (b"content-type", b"application/x-www-form-urlencoded")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [HOST, form, (b"origin", b"https://idp.example")],
    }

    assert refusal(scope, "sign-in").startswith("Cross-origin sign-in refused: it came from 'https://idp.example'.")
    assert refusal(scope, "sign-in").endswith(
        ". An identity provider that posts back (response_mode=form_post) belongs in one of them too"
    )
