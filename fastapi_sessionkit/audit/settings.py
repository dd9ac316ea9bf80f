"""Findings about settings: the secret, the store, the cookie, other middleware."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from .._application.kits import cookies_of
from ..cookie import SessionCookie
from ..stores.memory import MemoryStore, sign_of_other_workers
from .facts import Facts

Told = tuple[str, str, str, str]
"""A finding's code, place, text and advice."""

_FEW = 12
"""Fewer different characters than that are not random."""
_WELL_KNOWN = re.compile(
    r"secret|passw|change.?me|example|insecure|your[-_ ]|placeholder|dummy|test.?key|0123456789|abcdef0123|qwerty"
    r"|09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # that of FastAPI's tutorial
    re.IGNORECASE,
)
_HOW_TO = 'Make one with "sessionkit secret"'
_STRANGER = "https://stranger.example"


def findings_in_settings(facts: Facts) -> Iterator[Told]:
    """What is wrong with settings."""
    for check in _CHECKS:
        yield from check(facts)


def _weak_secrets(facts: Facts) -> Iterator[Told]:
    for number, key in enumerate(facts.keys):
        at = f"secret_key[{number}]"
        if key in facts.keys[:number]:
            yield "weak-secret", at, "It is the same as one before it", "Take it out: the first signs, all verify"
        elif len(set(key)) < _FEW:
            yield "weak-secret", at, "It has so few different characters that it can't be random", _HOW_TO
        elif _WELL_KNOWN.search(key):
            yield "weak-secret", at, "It has words of an example in it, so it is none that nobody can guess", _HOW_TO


def _memory_of_several_workers(facts: Facts) -> Iterator[Told]:
    sign = sign_of_other_workers() or _workers_in_environment()
    if sign is not None and isinstance(getattr(facts.services.backend, "store", None), MemoryStore):
        yield (
            "memory-workers", "backend", f"MemoryStore is one process' own, and {sign}",
            "Use SQLStore or RedisStore, which all workers share",
        )  # fmt: skip


def _workers_in_environment() -> str | None:
    for name, pattern in (("UVICORN_WORKERS", r"(\d+)"), ("GUNICORN_CMD_ARGS", r"(?:-w|--workers)[ =]*(\d+)")):
        found = re.search(pattern, os.environ.get(name, ""))
        if found is not None and int(found[1]) > 1:
            return f"{name} asks for {found[1]} workers"
    return None


def _shared_cookie_name(facts: Facts) -> Iterator[Told]:
    transport = facts.services.transport
    for middleware in facts.middleware if isinstance(transport, SessionCookie) else ():
        if transport.name in cookies_of(middleware):
            kind = getattr(middleware.cls, "__name__", repr(middleware.cls))
            yield (
                "cookie-clash", transport.name, f"{kind} uses a cookie of this name too, so each overwrites the other's",
                'Give one of them another name: CookieSettings(name="app_session")',
            )  # fmt: skip


def _cors(facts: Facts) -> Iterator[Told]:
    for middleware in facts.middleware:
        kind: Any = middleware.cls
        options: dict[str, Any] = dict(middleware.kwargs)
        if not isinstance(kind, type) or not issubclass(kind, CORSMiddleware) or not options.get("allow_credentials"):
            continue
        origins, pattern = options.get("allow_origins", ()), options.get("allow_origin_regex")
        if "*" in origins or (pattern is not None and re.fullmatch(pattern, _STRANGER)):
            yield (
                "cors-any-origin", "CORSMiddleware", "Pages of any site may read what a user may: allow_credentials with any origin",
                "List the origins of your own front ends in allow_origins",
            )  # fmt: skip
        yield from (_untrusted(origin) for origin in origins if origin != "*" and not _is_trusted(origin, facts))


def _untrusted(origin: str) -> Told:
    return (
        "cors-untrusted-origin", origin, "CORSMiddleware lets its pages send credentials, and their unsafe requests are refused",
        "Add it to SessionKit(trusted_origins=[...]), or take it out of allow_origins",
    )  # fmt: skip


def _is_trusted(origin: str, facts: Facts) -> bool:
    origins = facts.services.origins
    return not origins.enabled or origins.trusts(origin)


def _secure_over_http(facts: Facts) -> Iterator[Told]:
    transport, app = facts.services.transport, facts.app
    if not isinstance(transport, SessionCookie) or not transport.secure:
        return
    servers = app.servers if isinstance(app, FastAPI) else []
    plain = [str(each.get("url", "")) for each in servers if str(each.get("url", "")).startswith("http://")]
    signs = [each for each in plain if not re.match(r"http://(?:localhost|127\.|\[::1\])", each)]
    if os.environ.get("FASTAPI_ENV") == "development":
        signs.append("FASTAPI_ENV=development")
    for sign in signs:
        yield (
            "secure-over-http", sign, "The session cookie is Secure, and browsers drop it over plain http",
            "Serve it over https; behind a proxy run the server with --proxy-headers; for development leave https_only out",
        )  # fmt: skip


_CHECKS: tuple[Callable[[Facts], Iterator[Told]], ...] = (
    _weak_secrets,
    _memory_of_several_workers,
    _shared_cookie_name,
    _cors,
    _secure_over_http,
)
