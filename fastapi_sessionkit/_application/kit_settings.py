"""What a ``SessionKit`` is made with, checked: each function gives what its setting stands for, or refuses it."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from .._request.codec import SessionCodec
from .._request.lifetimes import Lifetimes
from .._request.revalidation import Revalidation
from .._request.services import OldSessions
from .._settings import Duration, answers_at_once, in_seconds, is_asynchronous, lacking, offers, takes
from ..backends import CookieBackend, SessionBackend, StoreBackend
from ..backends.base import SessionsElsewhere, directory_of
from ..backends.takeover import takeover_of
from ..bearer import BearerToken
from ..cookie import CookieSettings, OldCookie, SessionCookie
from ..errors import ConfigurationError
from ..stores.base import SessionStore
from ..transport import Transport

T = TypeVar("T")

ENVIRONMENT = "SESSIONKIT_SECRET_KEY"
IDLE_TIMEOUT = timedelta(days=7)
_SHORTEST = 32
MAPPING = "request_session"
"""What names the cookie of ``request.session``."""
_HOW_TO = """Make one with: python -c "import secrets; print(secrets.token_urlsafe(48))" """.strip()


def lifetimes_of(idle_timeout: Duration, absolute_timeout: Duration, clock: Callable[[], float]) -> Lifetimes:
    """The two lifetimes. The default of one, which nobody wrote, is cut off at the other; what is written must fit."""
    idle, absolute = in_seconds(idle_timeout, "idle_timeout"), in_seconds(absolute_timeout, "absolute_timeout")
    if idle > absolute and idle_timeout is not IDLE_TIMEOUT:
        raise ConfigurationError(
            f"idle_timeout={idle_timeout!r} is more than absolute_timeout, {timedelta(seconds=absolute)}, which ends a session "
            "however much it is used: make idle_timeout shorter, or absolute_timeout longer"
        )
    return Lifetimes(min(idle, absolute), absolute, clock)


def revalidation_of(hook: Any, every: float, clock: Callable[[], float]) -> Revalidation[Any] | None:
    """What asks the application about a session now and then; ``None`` where it did not say how."""
    if hook is None:
        return None
    if not is_asynchronous(hook) or not takes(hook, 1):
        raise ConfigurationError(f"SessionKit(revalidate=...) takes an async function of the session, not {hook!r}")
    return Revalidation(hook, every, clock)


def checked(value: T, kind: type[T], name: str) -> T:
    """What is of its kind."""
    if not isinstance(value, kind):
        raise ConfigurationError(f"SessionKit({name}=...) takes {kind.__name__}(...), not {value!r}")
    return value


def checked_function(value: Callable[[], T], name: str) -> Callable[[], T]:
    """A function that answers at once."""
    if not answers_at_once(value):
        raise ConfigurationError(
            f"SessionKit({name}=...) takes a function without arguments that is not async, not {value!r}; leave it out for the "
            "default"
        )
    return value


def checked_name(name: object) -> str:
    """A kit's name, of characters that a cookie's name may have."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.\-]+", name):
        raise ConfigurationError(f"SessionKit(name=...) is letters, digits, _, . and -, not {name!r}")
    return name


def checked_model(model: object, *, anonymous: bool) -> Any:
    """A model whose sessions can be read back and are somebody's, or a visitor's where they may be."""
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        raise ConfigurationError(
            f"SessionKit(model) takes a Pydantic model such as a subclass of Session, not {model!r}"
        )
    if not anonymous:
        _refuse_nobody(model)
    _refuse_unreadable(model)
    return model


def _refuse_nobody(model: type[BaseModel]) -> None:
    """Refuse a model whose ``user_id`` may name nobody: such a session would count as signed in."""
    field = model.model_fields.get("user_id")
    if field is not None and (field.default in (None, "") or _takes_none(field)):
        raise ConfigurationError(
            f"{model.__name__}.user_id may be None or blank, and a session without a user would count as signed in: write "
            "user_id: str, without a default. For a visitor there is no session, and Depends(kit.get_session) gives None. A kit "
            "for visitors alone is SessionKit(..., anonymous=True)"
        )


def require_fresh_session(codec: SessionCodec[Any]) -> None:
    """Refuse a model of visitors that can't be made of its defaults alone, or could not be kept then."""
    model = codec.model
    try:
        session = model()
        codec.check_readable(session, codec.dump(session))
    except Exception as error:
        needed = [name for name, field in model.model_fields.items() if field.is_required()]
        why = f"{', '.join(needed)} has none" if needed else f"{model.__name__}() can't be made and kept: {error}"
        raise ConfigurationError(
            f"SessionKit(anonymous=True) gives whoever has no session a {model.__name__}(), so every field needs a default: {why}"
        ) from error


def _refuse_unreadable(model: type[BaseModel]) -> None:
    """Refuse a model that can't be read back: a field that it needs is never written."""
    for name, field in model.model_fields.items():
        if field.exclude and field.is_required():
            raise ConfigurationError(
                f"{model.__name__}.{name} has no default and is never stored, because of Field(exclude=True), so no session "
                "could be read back. Take exclude=True out; to keep the field out of responses, write "
                f'response_model_exclude={{"{name}"}} at the route'
            )


def _takes_none(field: FieldInfo) -> bool:
    annotation: Any = Annotated[field.annotation, field]
    try:
        taken = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(None)
    except Exception:  # noqa: BLE001 - whatever a validator raises, it does not take it
        return False
    return taken is None


def backend_of(backend: Any) -> SessionBackend:
    """The backend, whatever of the possible was given."""
    if backend is None:
        return CookieBackend()
    if isinstance(backend, type):
        raise ConfigurationError(f"SessionKit(backend=...) takes an instance: backend={backend.__name__}(...)")
    if offers(backend, SessionBackend):
        given: SessionBackend = backend
        return given
    if offers(backend, SessionStore):
        return StoreBackend(backend)
    if isinstance(backend, str):  # it may hold a password, which no error shows
        kind = (
            "RedisStore"
            if backend.partition(":")[0] in {"redis", "rediss", "unix", "valkey", "valkeys"}
            else "SQLStore"
        )
        raise ConfigurationError(f'SessionKit(backend=...) takes a store, not its URL: backend={kind}("...")')
    for protocol in (SessionBackend, SessionStore):
        if missing := lacking(backend, protocol):
            raise ConfigurationError(
                f"SessionKit(backend=...) takes a {protocol.__name__}, and {type(backend).__name__} is none yet: it has no "
                f"{', '.join(missing)}"
            )
    raise ConfigurationError(
        "SessionKit(backend=...) takes a SessionBackend or a SessionStore such as MemoryStore(), RedisStore(url) or "
        f"SQLStore(engine), not a {type(backend).__name__}"
    )


def mapping_cookie_of(given: object, own: CookieSettings) -> CookieSettings:
    """How the cookie of ``request.session`` is sent: as it was said, or as the kit's own."""
    if isinstance(given, CookieSettings):
        return given
    if not isinstance(given, bool):
        raise ConfigurationError(f"install(request_session=...) is True, False or CookieSettings(...), not {given!r}")
    return replace(own, name=MAPPING)


def own_transports(cookie: CookieSettings, name: str, *, bearer: bool) -> tuple[Transport, ...]:
    """What brings the tokens that the kit itself gives out, one or two."""
    own = SessionCookie(cookie, name)
    return (own, BearerToken(own)) if bearer else (own,)


def require_nothing_own(elsewhere: SessionsElsewhere, cookie: CookieSettings, *, bearer: bool, anonymous: bool) -> None:
    """Refuse settings of tokens that the kit does not give out, where another service does."""
    name = type(elsewhere).__name__
    if anonymous:
        raise ConfigurationError(
            f"SessionKit(anonymous=True) keeps the sessions of visitors itself, so it needs another backend than {name}"
        )
    if bearer:
        raise ConfigurationError(
            f"SessionKit(bearer=True) gives out tokens of its own, and with {name} the service does: leave it out, and name the "
            f'header that brings the service\'s tokens, {name}(..., headers=["Authorization"])'
        )
    if replace(cookie, header_limit=CookieSettings().header_limit) != CookieSettings():
        raise ConfigurationError(
            f"With {name} the service sends the cookie, so CookieSettings can only say header_limit=... here: name the service's "
            f'cookies in {name}(..., cookies=["..."])'
        )


def data_of(codec: SessionCodec[Any], transport: Transport, session: Any) -> bytes:
    """The data of a record for a session that the backend has made itself."""
    codec.require_model(session, "The kit")
    return codec.noted(codec.readable_dump(session), issued=transport.issued)


def secret_keys_of(given: str | SecretStr | Sequence[str | SecretStr] | None) -> tuple[str, ...]:
    """The keys: the first signs, all verify."""
    if given is None:
        given = os.environ.get(ENVIRONMENT)
        if not given:
            raise ConfigurationError(
                f"SessionKit needs a secret_key, or the environment variable {ENVIRONMENT}. {_HOW_TO}"
            )
    listed: Sequence[Any] = given if isinstance(given, list | tuple) else (given,)
    keys: tuple[Any, ...] = tuple(key.get_secret_value() if isinstance(key, SecretStr) else key for key in listed)
    if not keys or not all(isinstance(key, str) for key in keys):
        raise ConfigurationError(f"secret_key takes a string, or a list of strings of which the first signs. {_HOW_TO}")
    if any(len(key.strip()) < _SHORTEST for key in keys):
        raise ConfigurationError(f"A secret_key has at least {_SHORTEST} characters, random ones. {_HOW_TO}")
    return keys


def old_sessions(backend: SessionBackend, cookie: Transport, *, anonymous: bool) -> OldSessions | None:
    """Another library's sessions, where the backend takes them over."""
    takeover = takeover_of(backend)
    if takeover is None or not isinstance(cookie, SessionCookie):
        return None
    if anonymous:
        raise ConfigurationError(
            "SessionKit(anonymous=True) takes no sessions over: give CookieBackend(accept_starlette=...) or "
            "StoreBackend(adopt=...) to the SessionKit that users sign in with"
        )
    return OldSessions(takeover, OldCookie(takeover.cookie, cookie))


def checked_most(most: int | None, backend: SessionBackend) -> int | None:
    """How many sessions a user may have; ``None``: any number."""
    if most is None:
        return None
    if directory_of(backend) is None:
        raise ConfigurationError(
            f"max_sessions_per_user needs sessions that are kept on the server, and {type(backend).__name__} "
            "keeps none: use SessionKit(backend=StoreBackend(store))"
        )
    if type(most) is not int or most < 1:
        raise ConfigurationError(f"max_sessions_per_user is a whole number, at least 1, not {most!r}")
    return most
