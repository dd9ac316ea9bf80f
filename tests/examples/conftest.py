"""The shop in this process, with its shelves as they are on the first day."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from fastapi_sessionkit.testing import signed_in

# Read where the shop is imported. The tests that start a shop of its own choose for themselves.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("SHOP_STORE", "memory")
    from examples.shop.app import app
    from examples.shop.people import PEOPLE
    from examples.shop.sessions import kit, session_for
    from examples.shop.stock import Shop, the_shop

Visit = Callable[[str], TestClient]


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    app.dependency_overrides[the_shop] = lambda: shop
    yield shop
    app.dependency_overrides.clear()


@pytest.fixture
def visit(shop: Shop) -> Visit:
    """``visit("cleo")`` is Cleo's browser, signed in; ``visit("")`` is a stranger's."""

    def browser(username: str) -> TestClient:
        client = TestClient(app, headers={"accept": "text/html"}, follow_redirects=False)
        return signed_in(client, kit, session_for(PEOPLE[username])) if username else client

    return browser


@pytest.fixture
def stranger(visit: Visit) -> TestClient:
    return visit("")


@pytest.fixture
def cleo(visit: Visit) -> TestClient:
    """A customer without membership."""
    return visit("cleo")


@pytest.fixture
def emil(visit: Visit) -> TestClient:
    """An editor."""
    return visit("emil")


@pytest.fixture
def ada(visit: Visit) -> TestClient:
    """The admin."""
    return visit("ada")
