"""``examples/accounts``: who may do what, and the file that says so."""

from pathlib import Path

import examples.accounts
from examples.accounts.app import app
from examples.accounts.sessions import kit, session_for
from fastapi_sessionkit.testing import assert_access
from tests.examples.accounts.conftest import people

LOCK = Path(examples.accounts.__file__).parent / "access.lock"


def test_who_may_do_what() -> None:
    everybody = {"ada": 200, "bob": 200, "anonymous": 200}
    members = {"ada": 200, "bob": 200, "anonymous": 401}
    admins = {"ada": 200, "bob": 403, "anonymous": 401}

    assert_access(
        app,
        {
            ("GET", "/"): everybody,
            ("GET", "/login"): everybody,
            ("GET", "/register"): everybody,
            ("GET", "/static/htmx.min.js"): everybody,
            ("GET", "/account"): members,
            ("GET", "/account/confirm"): members,
            ("GET", "/account/delete"): members,
            ("GET", "/api/me"): members,
            ("GET", "/api/devices"): members,
            ("GET", "/openapi.json"): members,
            ("GET", "/people"): admins,
            ("GET", "/api/people"): admins,
            ("POST", "/people/bob/role"): {"ada": 422, "bob": 403, "anonymous": 401},
            ("PATCH", "/api/people/bob"): {"ada": 422, "bob": 403, "anonymous": 401},
            ("GET", "/nowhere"): {"ada": 404, "bob": 404, "anonymous": 401},
        },
        people={name: session_for(user) for name, user in people().items()},
    )


def test_the_lock_says_what_the_application_does() -> None:
    changes = [change for change in kit.audit(app).compare(LOCK.read_text()) if change.label != "equal"]

    assert changes == [], (
        "python -m fastapi_sessionkit lock examples.accounts.app:app --file examples/accounts/access.lock"
    )


def test_nothing_about_it_is_probably_a_mistake() -> None:
    assert list(kit.audit(app).findings) == []
