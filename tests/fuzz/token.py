"""The token decoder: what it takes was given out, and what stands under the real key is a session or nobody."""

import asyncio
import json
from typing import Any, get_args

from fastapi_sessionkit import CookieBackend, MemoryStore, SessionRecord
from fastapi_sessionkit._request.codec import Misfit
from fastapi_sessionkit._request.envelope import NAME, opened
from fastapi_sessionkit.reasons import Reason
from tests.support import ADA, AppSession, Clock, app_kit

_CLOCK = Clock()
_BACKENDS: dict[str, Any] = {
    "signed": CookieBackend(),
    "encrypted": CookieBackend(encrypt=True),
    "stored": MemoryStore(clock=_CLOCK),
}
_KITS = {name: app_kit(backend=backend, clock=_CLOCK) for name, backend in _BACKENDS.items()}
_CODEC = _KITS["signed"].services.codec


def _record(data: bytes) -> SessionRecord:
    now = _CLOCK()
    return SessionRecord(data, "ada", 1, now, now, now, now + 600)


def _created(name: str) -> bytes:
    return asyncio.run(_KITS[name].backend.create(_record(_CODEC.dump(ADA)))).encode()


_GIVEN = {name: _created(name) for name in _KITS}
_NOTE = b'{"' + NAME.encode() + b'":'
_DATA = [
    _CODEC.dump(ADA),
    _CODEC.dump(AppSession(user_id="eve", cart=["tea"], settings={"a": [1, {"b": None}]})),
    _CODEC.noted(_CODEC.dump(ADA), issued=True, transient=True),
    _NOTE + b'[2,"moves","switches"],"user_id":"ada"}',
    b'{"user_id":"ada","weight":1e999,"note":"NaN","x":[[[[{}]]]],"y":"\\ud800"}',
    b'{"user_id":"ada","user_id":"eve","roles":["a"],"extra":Infinity}',
    b'{"user_id":"ada","count":' + b"9" * 300 + b"}",
]

# The first byte says whether the rest is a token or what is in one.
SEEDS = [b"T" + token for token in _GIVEN.values()] + [b"D" + data for data in _DATA]


def check(data: bytes) -> None:
    """A token that leads to a session was given out; a session that is read can be changed and is read again."""
    if data[:1] == b"D":
        _check_content(data[1:])
    else:
        for name, kit in _KITS.items():
            _check_token(kit.backend, data[1:], _GIVEN[name])


def _check_token(backend: Any, token: bytes, given: bytes) -> None:
    loaded = asyncio.run(backend.load(token))
    if loaded is None:
        assert backend.absence(token) in get_args(Reason)
    assert (loaded is not None) is (token == given)


def _check_content(data: bytes) -> None:
    try:
        session = _CODEC.read(data)
    except Misfit:
        return
    assert session.user_id == json.loads(opened(data).body)["user_id"]
    changed = _CODEC.read(_CODEC.apply(data, lambda _: {"nickname": "changed"}))
    assert _CODEC.dump(changed.model_copy(update={"nickname": session.nickname})) == _CODEC.dump(session)
