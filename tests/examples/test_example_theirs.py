"""``examples/theirs.py``: people are let at what is theirs."""

import pytest

from examples.theirs import app
from tests.support import client_of

EXPECTED = {
    "/users/ada/orders": {"": 401, "ada": 200, "bob": 403, "root": 200},
    "/users/bob/orders": {"": 401, "ada": 403, "bob": 200, "root": 200},
    "/users/ADA/orders": {"ada": 403},
    "/teams/blue/board": {"": 401, "ada": 200, "bob": 403, "root": 200},
    "/teams/red/board": {"ada": 200, "bob": 200},
    "/teams/e/board": {"ada": 403},
    "/drafts/ferns": {"": 401, "ada": 200, "bob": 403, "root": 403},
    "/drafts/nothing": {"ada": 403},
}


@pytest.mark.parametrize(
    ("path", "who", "status"), [(path, who, status) for path in EXPECTED for who, status in EXPECTED[path].items()]
)
def test_people_are_let_at_what_is_theirs(path: str, who: str, status: int) -> None:
    client = client_of(app)
    if who:
        client.post(f"/sign-in/{who}")

    assert client.get(path).status_code == status


def test_the_documentation_names_whose_it_is() -> None:
    paths = app.openapi()["paths"]

    assert paths["/users/{user_id}/orders"]["get"]["security"] == [
        {"session_cookie": ["owner:user_id"]},
        {"session_cookie": ["role:admin"]},
    ]
    assert paths["/teams/{team}/board"]["get"]["security"][0] == {"session_cookie": ["owner:team(teams)"]}
