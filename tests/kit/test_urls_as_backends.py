"""A URL given where a store belongs: the error says which store, and shows no password."""

import pytest

from fastapi_sessionkit import ConfigurationError
from tests.support import new_kit


@pytest.mark.parametrize(
    ("url", "store"),
    [
        ("redis://:pw@localhost", "RedisStore"),
        ("rediss://:pw@localhost", "RedisStore"),
        ("postgres://u:pw@h/d", "SQLStore"),
        ("sqlite:///x.db", "SQLStore"),
    ],
)
def test_a_url_as_backend_names_the_store_and_not_the_password(url: str, store: str) -> None:
    with pytest.raises(ConfigurationError, match=f"backend={store}") as refusal:
        new_kit(backend=url)

    assert "pw" not in str(refusal.value)
