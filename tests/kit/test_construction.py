"""What a ``SessionKit`` is made of, and what it refuses to be made of."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from fastapi_sessionkit import (
    ConfigurationError,
    CookieBackend,
    CookieSettings,
    MemoryStore,
    Session,
    SessionBackend,
    SessionKit,
    StoreBackend,
)
from fastapi_sessionkit.testing import session_of, signed_in
from tests.support import SECRET, AppSession, Clock, app_kit, client_of

OTHER = "another secret of more than thirty-two characters"


# The secret key


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 31, [], [""], [SECRET, "short"], (), b"x" * 40, [b"x" * 40], [None]]
)
def test_the_error_about_a_missing_or_short_secret_key_shows_how_to_make_it(key: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"secrets\.token_urlsafe"):
        SessionKit(secret_key=key)


def test_without_any_secret_key_the_error_names_the_environment_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"SESSIONKIT_SECRET_KEY.*secrets\.token_urlsafe"):
        SessionKit()


@pytest.mark.parametrize("value", ["", "short"])
def test_an_environment_variable_that_is_empty_or_short_does_not_do(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", value)

    with pytest.raises(ConfigurationError):
        SessionKit()


def test_the_error_about_a_secret_key_does_not_show_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionKit(secret_key="hunter2")

    assert "hunter2" not in str(caught.value)


def test_32_characters_do() -> None:
    assert SessionKit(secret_key="x" * 32).model is Session


def test_the_secret_key_comes_from_the_environment_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", SECRET)
    from_environment, given = SessionKit(AppSession), app_kit()
    client = signed_in(client_of(FastAPI()), from_environment, AppSession(user_id="ada"))

    assert session_of(client, given) == AppSession(user_id="ada")


def test_a_key_that_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONKIT_SECRET_KEY", OTHER)
    client = signed_in(client_of(FastAPI()), app_kit(), AppSession(user_id="ada"))

    assert session_of(client, SessionKit(AppSession)) is None


@pytest.mark.parametrize("backend", [CookieBackend, lambda: CookieBackend(encrypt=True)], ids=["plain", "encrypted"])
def test_after_a_key_rotation_the_first_key_signs_and_all_verify(backend: Callable[[], CookieBackend]) -> None:
    old, both, new = (app_kit(backend=backend(), secret_key=key) for key in (SECRET, [OTHER, SECRET], OTHER))
    ada, client = AppSession(user_id="ada"), client_of(FastAPI())

    assert session_of(signed_in(client, old, ada), both) == ada
    assert session_of(signed_in(client, both, ada), new) == ada
    assert session_of(signed_in(client, both, ada), old) is None
    assert session_of(signed_in(client, old, ada), new) is None


@pytest.mark.parametrize("secret", [SecretStr("x" * 32), [SecretStr("x" * 32), "y" * 32]])
def test_a_secret_key_may_be_what_pydantic_settings_gives(secret: Any) -> None:
    assert SessionKit(secret_key=secret).cookie_name == "__Host-session"


@pytest.mark.parametrize("secret", [5, [5], {"x" * 32}, " " * 40, ("x" * 32, None)])
def test_a_secret_key_of_another_kind_is_refused(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret_key"):
        SessionKit(secret_key=secret)


# Everything else that it is made of


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "cookie"},
        {"backend": CookieBackend},
        {"backend": MemoryStore},
        {"cookie": "session"},
        pytest.param({"access": lambda session: ["admin"]}, id="access is a function"),
        {"idle_timeout": 0},
        {"idle_timeout": -1},
        {"idle_timeout": timedelta(0)},
        {"idle_timeout": float("nan")},
        {"idle_timeout": float("inf")},
        {"idle_timeout": "7 days"},
        {"idle_timeout": None},
        {"idle_timeout": True},
        {"absolute_timeout": 0},
        {"absolute_timeout": None},
        {"rotation_grace": -1},
        {"rotation_grace": "10"},
        {"trusted_origins": "https://a.example"},
        {"trusted_origins": ["a.example"]},
        {"trusted_origins": ["https://a.example/"]},
        {"trusted_origins": ["https://*.example"]},
        {"cross_origin_exempt": "/callback"},
        {"cross_origin_exempt": ["callback"]},
        {"cross_origin_exempt": [None]},
        {"trusted_origins": ["*"]},
        {"trusted_origins": ["null"]},
        {"name": ""},
        {"name": "my kit"},
    ],
    ids=str,
)
def test_a_setting_that_can_not_work_is_an_error_at_construction(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        app_kit(**settings)


@pytest.mark.parametrize("model", [dict, "Session", Session(user_id="u"), None])
def test_a_model_that_is_none_is_a_configuration_error(model: Any) -> None:
    with pytest.raises(ConfigurationError):
        SessionKit(model, secret_key=SECRET)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a;b"},
        {"name": "a=b"},
        {"name": "__Host-session"},
        {"name": "__secure-session"},
        {"path": "app"},
        {"path": "/;Secure"},
        {"path": "/\r\nX: y"},
        {"domain": "a b"},
        {"domain": "example.com; Secure"},
        {"domain": ""},
        {"same_site": "Lax"},
        {"same_site": "none", "https_only": False},
    ],
    ids=str,
)
def test_a_cookie_setting_that_no_browser_takes_is_a_configuration_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CookieSettings(**settings)


def test_a_configuration_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="token_urlsafe"):
        SessionKit(secret_key="")


def test_a_store_may_be_given_instead_of_a_backend() -> None:
    store = MemoryStore()
    kit = app_kit(backend=store)

    assert isinstance(kit.backend, StoreBackend)
    assert kit.backend.store is store


def test_a_class_is_no_store() -> None:
    with pytest.raises(ConfigurationError):
        StoreBackend(MemoryStore)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", [CookieBackend(), StoreBackend(MemoryStore())])
def test_a_backend_belongs_to_one_kit(backend: Any) -> None:
    app_kit(backend=backend)

    with pytest.raises(ConfigurationError, match="another SessionKit"):
        app_kit(backend=backend, name="second")


def test_the_kits_clock_is_the_clock_of_its_memory_store(clock: Clock) -> None:
    store = MemoryStore()
    app_kit(backend=store, clock=clock)

    assert store.clock is clock


@pytest.mark.parametrize(("environment", "name"), [(None, "__Host-session"), ("development", "sessionkit"), ("production", "__Host-session")])  # fmt: skip
def test_only_in_development_the_cookie_may_travel_over_plain_http(
    environment: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment is not None:
        monkeypatch.setenv("FASTAPI_ENV", environment)

    assert app_kit().cookie_name == name


@pytest.mark.parametrize("https_only", ["false", 0, 1])
def test_https_only_is_true_or_false(https_only: Any) -> None:
    with pytest.raises(ConfigurationError, match="https_only"):
        CookieSettings(https_only=https_only)


@pytest.mark.parametrize(
    "wrong",
    [
        {"idle_timeout": -1},
        {"access": "none"},
        {"trusted_origins": ["example.com"]},
        {"rotation_grace": -1},
        {"revalidate": print},
        {"purge_every": 0},
        {"anonymous": True},
        {"max_sessions_per_user": 0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
@pytest.mark.parametrize("backend", [CookieBackend, lambda: StoreBackend(MemoryStore())], ids=["cookie", "store"])
def test_a_kit_that_could_not_be_made_leaves_its_backend_to_the_next(
    backend: Callable[[], SessionBackend], wrong: dict[str, Any]
) -> None:
    """Somebody mends the setting in a notebook, or a test makes both."""
    given = backend()
    with pytest.raises(ConfigurationError):
        SessionKit(secret_key=SECRET, backend=given, **wrong)

    SessionKit(secret_key=SECRET, backend=given)
