"""``WhoamiBackend``: sessions that another service keeps, which is asked who somebody is."""

import asyncio
import json
import logging
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from pydantic import ValidationError

from ._settings import Duration, in_seconds, is_asynchronous, require_whole, takes
from .backends.base import BackendContext, Change, Loaded, Written, refuse_second_kit, require_kit
from .errors import ConfigurationError, StoreUnavailable
from .forwarded import Credentials, ForwardedCredentials
from .stores.base import SessionRecord
from .transport import Headers, Transport

if TYPE_CHECKING:
    from httpx import AsyncHTTPTransport, Response

logger: logging.Logger = logging.getLogger(__name__)

_LARGEST = 65_536
"""Bytes that an answer may have."""
_SLACK = 60.0
"""Seconds for which a record outlives the answer that it was made of, so that no clock ends it in the middle of a request."""
_KEPT_OPEN = 4.0
"""Seconds that an idle connection is kept: less than the five after which Node.js and uvicorn close it."""


class _Unusable(Exception):
    """The service gave no answer that says who somebody is. The text holds no value."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whom a credential leads to, and when that was asked; Unix seconds."""

    loaded: Loaded | None
    asked_at: float


@dataclass(slots=True)
class _Line:
    """What one event loop uses to ask: its connections, and the questions that are under way."""

    http: "AsyncHTTPTransport"
    closing: AsyncGenerator[None, None]
    questions: "dict[bytes, asyncio.Task[_Answer | Exception]]" = field(default_factory=dict)


class _Memory:
    """Answers of one kind, for ``seconds`` and at most ``most`` of them: those that were not used for longest go first."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()

    def get(self, key: bytes, now: float) -> _Answer | None:
        answer = self._answers.pop(key, None)  # and put back at the end: other event loops may run in other threads
        if answer is None or not 0 <= now - answer.asked_at < self._seconds:  # the clock may have been set back
            return None
        self._answers[key] = answer
        return answer

    def keep(self, key: bytes, answer: _Answer) -> None:
        self._answers[key] = answer
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)


class WhoamiBackend:
    """Sessions that live elsewhere: an identity service is asked who a cookie or a token belongs to.

    The service signs people in and out. Here nothing is stored or sent: ``set_session``, ``update_session``,
    ``clear_session`` and their like raise a ``ConfigurationError`` that says where it is done. In place of a cookie of its own
    the kit reads the cookies and headers that are named here, and only these are forwarded. Guards, requirements and
    dependencies work as with every backend.

    200 is somebody, 401 and 403 are nobody. Anything else, a redirect and a slow answer included, is
    ``StoreUnavailable`` (503) and never nobody. Redirects are not followed, and at most 64 KiB are read. The certificate of
    an https service is verified; ``SSL_CERT_FILE`` names an authority of your own. Proxies that the environment names
    are not used.

    An answer is remembered in this process, so somebody who signed out at the service is served for up to ``remember``
    seconds. However many requests bring one credential at once, the service is asked once.

    Args:
        url: what is asked, by GET: ``http://`` or ``https://``. It holds no password.
        session: a function that gets the answer's JSON and gives the session, or ``None`` for nobody. If it raises, that is
            503.
        cookies: names of the cookies that are forwarded. An unsafe request with one of them must come from this site or a
            trusted origin.
        headers: names of the headers that are forwarded. ``Authorization`` is not, where it is of a scheme that browsers send
            by themselves (Basic, Digest, Negotiate, NTLM).
        authenticated_at: a function that gets the answer's JSON and gives when the user last proved who they are: an aware
            ``datetime``, Unix seconds, or ``None``. Without it nobody is ``fresh``.
        remember: how long it holds that a credential is somebody's; ``timedelta`` or seconds.
        remember_nobody: how long it holds that it is nobody's; at most ``remember``.
        timeout: how long the service may take, from the first byte sent to the last one read.
        max_remembered: how many answers of each of the two kinds are remembered.

    Raises:
        ConfigurationError: a setting can't work, or the extra is missing: ``pip install 'fastapi-sessionkit[http]'``.
    """

    needs_asyncio: bool = True

    def __init__(
        self,
        url: str,
        *,
        session: Callable[[Any], Any],
        cookies: Iterable[str] = (),
        headers: Iterable[str] = (),
        authenticated_at: Callable[[Any], datetime | float | None] | None = None,
        remember: Duration = 10.0,
        remember_nobody: Duration = 2.0,
        timeout: Duration = 3.0,
        max_remembered: int = 1_024,
    ) -> None:
        self._url, self._place = _checked_url(url)
        self._credentials = Credentials(cookies, headers)
        self._session = _checked_function(session, "session")
        self._authenticated_at = authenticated_at and _checked_function(authenticated_at, "authenticated_at")
        somebody, nobody = (
            in_seconds(remember, "WhoamiBackend(remember=...)", zero=True),
            in_seconds(remember_nobody, "WhoamiBackend(remember_nobody=...)", zero=True),
        )
        if nobody > somebody:
            raise ConfigurationError(
                f"WhoamiBackend(remember_nobody={remember_nobody!r}) is more than remember={remember!r}: whoever has just signed "
                "in would stay nobody for that long"
            )
        self._timeout = in_seconds(timeout, "WhoamiBackend(timeout=...)")
        require_whole(max_remembered, "WhoamiBackend(max_remembered=...)")
        self._remember = somebody
        self._somebody, self._nobody = _Memory(somebody, max_remembered), _Memory(nobody, max_remembered)
        self._tls = _tls()
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._context: BackendContext | None = None

    def __repr__(self) -> str:
        return f"WhoamiBackend({self._place!r})"

    def session_service(self) -> str:
        """See ``SessionsElsewhere``."""
        return self._place

    def session_transports(self, header_limit: int) -> tuple[Transport, ...]:
        """See ``SessionsElsewhere``: one for requests with a cookie, one for those with headers alone."""
        kinds = [True] * bool(self._credentials.cookies) + [False] * bool(self._credentials.headers)
        return tuple(ForwardedCredentials(self._credentials, header_limit, with_cookies=kind) for kind in kinds)

    def bind(self, context: BackendContext) -> None:
        """Take the kit's clock, and how it writes a session."""
        refuse_second_kit(self, self._context)
        self._context = context

    def overflow(self, record: SessionRecord) -> int:  # noqa: ARG002
        """None: no record is kept."""
        return 0

    async def load(self, token: bytes) -> Loaded | None:
        """Whom the service says the credentials belong to, now or not long ago."""
        forwarded = self._credentials.to_forward(token)
        if forwarded is None:
            return None
        key, now = sha256(token).digest(), require_kit(self._context).clock()
        known = self._somebody.get(key, now) or self._nobody.get(key, now)
        return (known or await self._answer(key, forwarded)).loaded

    async def create(self, record: SessionRecord, *, replaces: Loaded | None = None) -> str:  # noqa: ARG002
        """An error: the service begins sessions."""
        self._refuse()

    async def update(self, loaded: Loaded, change: Change) -> Written | None:  # noqa: ARG002
        """An error: the service changes sessions."""
        self._refuse()

    async def rotate(self, loaded: Loaded, change: Change, *, grace: float) -> Written | None:  # noqa: ARG002
        """An error: the service changes sessions."""
        self._refuse()

    async def touch(self, loaded: Loaded, *, last_seen_at: float, expires_at: float) -> str | None:  # noqa: ARG002
        """Nothing: the service has seen the use itself."""
        return None

    async def delete(self, loaded: Loaded) -> None:
        """Nothing: the service ends sessions."""

    async def aclose(self) -> None:
        """Close this event loop's connections."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.closing.aclose()

    def _refuse(self) -> NoReturn:
        raise ConfigurationError(f"Sessions are begun, changed and ended by {self._place}, not here")

    async def _answer(self, key: bytes, forwarded: Headers) -> _Answer:
        """What the service says; one question for all that ask the same at once, and for whoever waits longest."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop) or await self._open_line(loop)
        question = line.questions.get(key)
        if question is None:
            question = line.questions[key] = loop.create_task(self._ask(key, forwarded, line))
            question.add_done_callback(lambda _: line.questions.pop(key))
        answer = await asyncio.shield(question)  # who leaves does not take the answer from the others
        if isinstance(answer, Exception):
            raise StoreUnavailable from answer
        return answer

    async def _open_line(self, loop: asyncio.AbstractEventLoop) -> _Line:
        from httpx import AsyncHTTPTransport, Limits

        for each in [each for each in self._lines if each.is_closed()]:
            self._lines.pop(each, None)
        limits = Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEPT_OPEN)
        # A client would keep cookies, and know proxies and redirects.
        http = AsyncHTTPTransport(verify=self._tls, limits=limits)
        line = self._lines[loop] = _Line(http, _closed_with_loop(http))
        await anext(line.closing)
        return line

    async def _ask(self, key: bytes, forwarded: Headers, line: _Line) -> _Answer | Exception:
        """The answer, remembered; or what was in its way, for each of those who wait to raise it."""
        asked_at = require_kit(self._context).clock()
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._get(forwarded, line.http)
            answer = _Answer(self._loaded(status, body), asked_at)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody can say who this is
            # The text of another error may hold a value.
            why = str(error) if isinstance(error, _Unusable) else type(error).__name__
            logger.error("%s did not say who somebody is: %s", self._place, why)  # noqa: TRY400
            return error
        (self._nobody if answer.loaded is None else self._somebody).keep(key, answer)
        return answer

    async def _get(self, forwarded: Headers, http: "AsyncHTTPTransport") -> tuple[int, bytes]:
        from httpx import Request

        own = {b"accept": b"application/json", b"user-agent": b"fastapi-sessionkit"}
        headers = [*{**own, **dict(forwarded)}.items(), (b"accept-encoding", b"identity")]
        response = await http.handle_async_request(Request("GET", self._url, headers=headers))
        try:
            return response.status_code, await _body(response) if response.status_code == 200 else b""
        finally:
            await response.aclose()

    def _loaded(self, status: int, body: bytes) -> Loaded | None:
        """What an answer says; raises where it says nothing."""
        if status in {401, 403}:
            return None
        if status != 200:
            raise _Unusable(
                f"it answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else "")
            )
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise _Unusable("its answer is no JSON") from None
        session, authenticated_at = self._read(answer)
        if session is None:
            return None
        context = require_kit(self._context)
        try:
            data = context.data_of(session)
        except (TypeError, ValidationError) as error:
            why = str(error) if isinstance(error, TypeError) else type(error).__name__
            raise _Unusable(f"session=... gave what the kit can't take: {why}") from None
        now, user_id = context.clock(), getattr(session, "user_id", None)
        ends_at = now + self._remember + _SLACK
        return Loaded(SessionRecord(data, user_id and str(user_id), 1, now, authenticated_at, now, ends_at))

    def _read(self, answer: Any) -> tuple[Any, float]:
        """The session that the application makes of an answer, and when its user last proved who they are."""
        try:
            session = self._session(answer)
            proved = None if self._authenticated_at is None or session is None else self._authenticated_at(answer)
        except Exception as error:  # noqa: BLE001 - a function of the application's may raise anything
            raise _Unusable(f"session=... or authenticated_at=... raised {type(error).__name__}") from None
        if proved is None:
            return session, 0.0
        if isinstance(proved, datetime):
            proved = math.nan if proved.tzinfo is None else proved.timestamp()
        if isinstance(proved, bool) or not isinstance(proved, int | float) or not math.isfinite(proved):
            raise _Unusable("authenticated_at=... gave neither an aware datetime nor Unix seconds nor None")
        return session, float(proved)


async def _closed_with_loop(http: "AsyncHTTPTransport") -> AsyncGenerator[None, None]:
    """Closes connections where an event loop ends that nobody has closed them on: it ends its generators."""
    try:
        yield
    finally:
        await http.aclose()


async def _body(response: "Response") -> bytes:
    """The body as it is sent, if it is not too long. What is compressed, though nobody asked for that, is no JSON then."""
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) > _LARGEST:
            raise _Unusable(f"its answer has more than {_LARGEST:,} bytes")
    return body


def _tls() -> Any:
    try:
        from httpx import create_ssl_context
    except ImportError as error:
        raise ConfigurationError("WhoamiBackend needs the extra: pip install 'fastapi-sessionkit[http]'") from error
    return create_ssl_context()


def _checked_url(url: object) -> tuple[str, str]:
    """The URL, and as much of it as may be shown."""
    how = 'WhoamiBackend(url) takes an address such as "https://identity.example.com/sessions/whoami"'
    if not isinstance(url, str):
        raise ConfigurationError(f"{how}, not a {type(url).__name__}")
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise ConfigurationError(f"{how}; this is none") from None  # it is not shown, for it may hold a password
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not url.isascii()
        or not url.isprintable()
        or " " in url
    ):
        raise ConfigurationError(f"{how}: http or https, a host and a path, in printable ASCII")
    if "@" in parts.netloc or parts.fragment:
        raise ConfigurationError(f"{how}, without a user, a password or a fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return url, f"{parts.scheme}://{host}{port}{parts.path}"


def _checked_function(function: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    if not takes(function, 1) or is_asynchronous(function):
        raise ConfigurationError(
            f"WhoamiBackend({name}=...) takes a plain function of the answer's JSON that is not async, not {function!r}"
        )
    return function
