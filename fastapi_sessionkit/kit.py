"""``SessionKit``: the settings in one place, wired together and put on an application."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, get_args

from pydantic import BaseModel, SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from typing_extensions import TypeVar

from ._application.checks import check_routes, check_unambiguous
from ._application.endpoints import PublicEndpoints
from ._application.kit_settings import (
    IDLE_TIMEOUT,
    MAPPING,
    backend_of,
    checked,
    checked_function,
    checked_model,
    checked_most,
    checked_name,
    data_of,
    lifetimes_of,
    mapping_cookie_of,
    old_sessions,
    own_transports,
    require_fresh_session,
    require_nothing_own,
    revalidation_of,
    secret_keys_of,
)
from ._application.kits import Place, check_installable, check_mounted, check_one_mapping, has_mapping, sharing
from ._application.lifecycle import Lifecycle
from ._application.middleware import SessionMiddleware
from ._application.report import report
from ._application.routes import served_routes
from ._paths.denial import Redirected, redirect_response
from ._paths.patterns import Pattern
from ._request.announcing import Announcer, require_names
from ._request.codec import SessionCodec
from ._request.lookup import request_session_of
from ._request.mapping import RequestData
from ._request.origin import OriginPolicy
from ._request.releases import Migrate, release
from ._request.saving import announce_of_record
from ._request.services import Services
from ._request.visitors import NO_USERS
from ._settings import Duration, in_seconds, require_bool, require_list
from .access import Access
from .audit import Audit
from .audit.acceptance import report_findings
from .backends import BackendContext, SessionBackend
from .backends.base import elsewhere_of
from .backends.keys import new_session_id
from .cookie import CookieSettings
from .dependencies import Asked, Given, Required, checked_requirement
from .errors import ConfigurationError
from .events import EventName, Handler
from .guard import RouterGuard
from .manager import SessionManager
from .mutation import begin_session, one_update
from .openapi import document, document_schema
from .reasons import Reason
from .requirements import (
    Requirement,
    any_permission,
    check_readable,
    fresh,
    permission,
    role,
    signed_in,
)
from .session import Session, SessionInfo
from .stores.base import SessionRecord, SessionStore
from .watching import SessionWatch, watch_of

logger: logging.Logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel, default=Session)
T = TypeVar("T")
H = TypeVar("H", bound=Handler)

Check: TypeAlias = Literal["log", "raise", "off"]


class SessionKit(Generic[M]):
    """Sessions for one application: construct it once, next to the application, and ``install`` it.

    Everything is checked here; what can't work is a ``ConfigurationError`` now, not at the first request.

    Args:
        model: the Pydantic model of a session; ``Session`` or a subclass, or any other with ``Access`` hooks.
        secret_key: at least 32 characters, a ``str`` or a ``SecretStr``; or a list, of which the first signs and all verify (rotation). By default
            the environment variable ``SESSIONKIT_SECRET_KEY``.
        backend: a ``SessionBackend`` or a ``SessionStore``; by default ``CookieBackend()``.
        cookie: how the cookie is sent.
        bearer: whether sessions serve clients without cookies too: ``kit.issue_token`` gives them a token, which they send
            as ``Authorization: Bearer <token>``. A request that has that header is the token's, whatever cookie it has.
        idle_timeout: a session that is not used this long has ended; ``timedelta`` or seconds. At most
            ``absolute_timeout``; by default 7 days, or that where it is less.
        absolute_timeout: a session that is this old has ended, however much it is used.
        rotation_grace: how long a rotated id serves requests under way.
        access: how to read roles and permissions from the session.
        trusted_origins: other origins whose pages may send unsafe requests with the cookie and sign people in, each
            ``scheme://host[:port]`` with whatever scheme a web view or an extension has; ``https://*.example.com`` is
            everything below a domain, and not the domain itself.
        cross_origin_exempt: patterns of paths, as rules have them, of endpoints that prove their caller otherwise, by the
            signed response of an identity provider for example. They must: any site can call them as the victim.
        cross_origin_protection: refuse unsafe requests with the cookie, and sign-ins, from any other origin. Switched
            off, ``SameSite`` alone stands against cross-site request forgery, and nothing against login CSRF.
        revalidate: an async function that gets the session and gives it back, a changed one, or ``None`` to end it (the
            account was disabled). If it raises, the request is answered with 503.
        revalidate_every: how long its answer holds, for each session in each process.
        max_sessions_per_user: signing in once more ends the user's oldest session; needs server-side sessions.
        purge_every: how often a started application drops expired sessions from its store, give or take a fifth;
            ``None``: never, for those who call ``kit.sessions.purge()`` from elsewhere.
        model_version: which release of the model this is, noted with every session: a whole number. What is stored
            without a version counts as 1.
        migrate: a function ``(data, version) -> data`` that gets what an older release stored, as plain JSON, with the
            version noted there (1 where none is), and gives what this one would have stored. It runs when such a
            session is read, as often as that is, so it must do nothing else; the next change saves what it gave. If
            it raises, or gives no ``dict``, the session no longer fits.
        anonymous: keep sessions of visitors, who don't sign in (a cart, flash messages, a wizard), beside the kit that
            users sign in with. Every field of the model has a default: whoever has no session gets one of these, and it
            is stored, and a cookie sent, once it has changed. No guard, no roles, no security scheme in OpenAPI. The
            names of the module mean the other kit.
        name: tells this kit from another: in its tokens' signature, and in its cookie's name, ``__Host-basket``, unless
            ``CookieSettings(name=...)`` says another.
        clock: gives Unix seconds; for tests.
        new_id: makes session ids of 256 random bits; for tests.

    Raises:
        ConfigurationError: a setting can't work as written.
    """

    def __init__(
        self,
        model: type[M] = Session,  # type: ignore[assignment]
        *,
        secret_key: str | SecretStr | Sequence[str | SecretStr] | None = None,
        backend: SessionBackend | SessionStore | None = None,
        cookie: CookieSettings = CookieSettings(),
        bearer: bool = False,
        idle_timeout: Duration = IDLE_TIMEOUT,
        absolute_timeout: Duration = timedelta(days=30),
        rotation_grace: Duration = timedelta(seconds=10),
        access: Access = Access(),
        trusted_origins: Iterable[str] = (),
        cross_origin_exempt: Iterable[str] = (),
        cross_origin_protection: bool = True,
        revalidate: Callable[[M], Awaitable[M | None]] | None = None,
        revalidate_every: Duration = timedelta(minutes=5),
        max_sessions_per_user: int | None = None,
        purge_every: Duration | None = timedelta(hours=1),
        model_version: int | None = None,
        migrate: Migrate | None = None,
        anonymous: bool = False,
        name: str = "session",
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = new_session_id,
    ) -> None:
        require_bool(anonymous, "SessionKit(anonymous=...)")
        self.model: type[M] = checked_model(model, anonymous=anonymous)
        self.name: str = checked_name(name)
        require_bool(bearer, "SessionKit(bearer=...)")
        if bearer and anonymous:
            raise ConfigurationError(
                "SessionKit(anonymous=True, bearer=True): a token is for somebody, and visitors are nobody. Give bearer=True to "
                "the SessionKit that users sign in with"
            )
        self.backend: SessionBackend = backend_of(backend)
        elsewhere = elsewhere_of(self.backend)
        self._cookie = checked(cookie, CookieSettings, "cookie")
        if elsewhere is None:
            transports = own_transports(cookie, self.name, bearer=bearer)
        else:
            require_nothing_own(elsewhere, cookie, bearer=bearer, anonymous=anonymous)
            transports = elsewhere.session_transports(cookie.header_limit)
        transport = transports[0]
        codec = SessionCodec(self.model, release(model_version, migrate))
        self.cookie_name: str = transport.name
        self.scheme_name: str = transport.scheme_name
        self._keys = secret_keys_of(secret_key)
        context = BackendContext(
            secret_keys=self._keys,
            salt=f"fastapi_sessionkit:{name}:{self.cookie_name}",
            clock=checked_function(clock, "clock"),
            new_id=checked_function(new_id, "new_id"),
            token_limit=transport.limit,
            max_sessions_per_user=checked_most(max_sessions_per_user, self.backend),
            data_of=partial(data_of, codec, transport),
            evicted=self._tell_evicted,
        )
        if anonymous:
            require_fresh_session(codec)
        self.services: Services[M] = Services(
            kit=self,
            codec=codec,
            backend=self.backend,
            transport=transport,
            transports=transports,
            origins=OriginPolicy(trusted_origins, cross_origin_exempt, enabled=cross_origin_protection),
            access=checked(access, Access, "access"),
            lifetimes=lifetimes_of(idle_timeout, absolute_timeout, clock),
            rotation_grace=in_seconds(rotation_grace, "rotation_grace", zero=True),
            events=Announcer(context.signer("fingerprint"), clock),
            revalidation=revalidation_of(
                revalidate, in_seconds(revalidate_every, "revalidate_every", zero=True), clock
            ),
            anonymous=anonymous,
            elsewhere=None if elsewhere is None else elsewhere.session_service(),
            old=old_sessions(self.backend, transport, anonymous=anonymous),
        )
        self._purge_every = None if purge_every is None else in_seconds(purge_every, "purge_every")
        self.backend.bind(context)  # last of what may fail: it belongs to one kit, and to none that could not be made

        self.require_session: Required[M] | Given[M] = (
            Given(signed_in, self, "kit.require_session")
            if anonymous
            else self._required(signed_in, "kit.require_session")
        )
        """The session; raises ``NotAuthenticated`` (401) when nobody is signed in. An anonymous kit always has one."""
        self._installed: list[tuple[Starlette, RouterGuard | None]] = []
        self.sessions: SessionManager[M] = SessionManager(self.services)

    def install(
        self,
        app: Starlette,
        *,
        guard: RouterGuard | None = None,
        preload: Iterable[str] = (),
        check: Check = "log",
        request_session: bool | CookieSettings = False,
    ) -> None:
        """Put the kit on an application, before or after routes, routers and other middleware are added.

        With a guard it protects the whole application: mounts, static files, the documentation and unknown paths
        too. The store is closed when the application shuts down.

        Args:
            app: the application.
            guard: protects the whole application.
            preload: patterns of paths, as rules have them, where the session is loaded before the application is called,
                so that plain functions such as a template's context have it by ``session_of(request)``.
            check: what becomes of the audit's findings at startup. ``"log"``: rules and pages that are wrong are warnings,
                and all findings one line at INFO; ``"raise"``: what nobody has accepted fails the start; ``"off"``: nothing.
                What can't work fails the start in any case.
            request_session: gives ``request.session`` to libraries that want it (Authlib, sqladmin): a ``dict`` in a signed
                cookie of its own, which has nothing to do with the kit's sessions. ``True``: the cookie is of the kit's
                kind; or say how it is sent, ``CookieSettings(same_site="none")`` for what another site posts back.

        Raises:
            ConfigurationError: a setting can't work as written, it is installed already, its cookie, or what OpenAPI calls
                that, is another kit's, the application has started, an anonymous kit is given a guard, or something else
                gives ``request.session`` too.
        """
        check_installable(self.services, app)
        if guard is not None and not isinstance(guard, RouterGuard):
            raise ConfigurationError(f"install(guard=...) takes a RouterGuard, not {guard!r}")
        if guard is not None and self.services.anonymous:
            raise ConfigurationError(f"install(guard=...): {NO_USERS}")
        mapping_cookie = mapping_cookie_of(request_session, self._cookie)
        mapping = self._mapping_kit(app, mapping_cookie) if request_session else None
        if mapping is not None:
            check_installable(mapping.services, app, beside=[self.services])
        preloaded = tuple(map(Pattern, require_list(preload, "install(preload=...)", '["/pages/**"]')))
        if check not in get_args(Check):
            raise ConfigurationError(f'install(check=...) is "log", "raise" or "off", not {check!r}')
        self._check_rules(guard)
        public_endpoints = PublicEndpoints(app)
        app.user_middleware.append(
            Middleware(
                SessionMiddleware,
                services=self.services,
                guard=guard,
                preload=preloaded,
                host=app,
                lifecycle=Lifecycle(
                    app,
                    lambda: self._check(app, guard, public_endpoints),
                    lambda: self._report(app, guard, check),
                    self.backend,
                    events=self.services.events,
                    purge_every=self._purge_every,
                ),
                public_endpoints=public_endpoints,
            )
        )
        app.add_exception_handler(Redirected, redirect_response)
        self._installed.append((app, guard))
        document(app, self.services, guard)
        if mapping is not None:
            mapping.install(app, check="off")

    def _mapping_kit(self, app: Starlette, cookie: CookieSettings) -> "SessionKit[RequestData]":
        """What keeps ``request.session``: an anonymous kit with this one's keys, origins and lifetimes."""
        if self.services.anonymous:
            raise ConfigurationError(
                "install(request_session=True): give it to the SessionKit that users sign in with, not to an anonymous one"
            )
        if has_mapping(app):
            raise ConfigurationError("install(request_session=True): another SessionKit gives this application its own")
        check_one_mapping(app)
        lifetimes = self.services.lifetimes
        kit = SessionKit(
            RequestData,
            secret_key=self._keys,
            cookie=cookie,
            idle_timeout=lifetimes.idle,
            absolute_timeout=lifetimes.absolute,
            anonymous=True,
            name=MAPPING,
            clock=lifetimes.clock,
        )
        kit.services = replace(kit.services, origins=self.services.origins)
        return kit

    def on(self, *names: EventName) -> Callable[[H], H]:
        """Have a function told of events: ``@kit.on("signed_in", "signed_out")``.

        It gets a ``fastapi_sessionkit.events.SessionEvent``, after what it says has happened and was saved. A plain
        function runs in a thread of its own, an async one on the event loop. No request waits for it or fails by it: what
        it raises is logged, an async one is stopped after five seconds, and where a thousand events wait for it, those that
        come after are dropped, which is logged too.

        Raises:
            ConfigurationError: there is no event of such a name, or this is no function of one event.
        """
        require_names(names)

        def register(handler: H) -> H:
            self.services.events.add(names, handler)
            return handler

        return register

    def _check(self, app: Starlette, guard: RouterGuard | None, public_endpoints: PublicEndpoints) -> None:
        """What only a complete application shows: at startup, and again when its routes have changed."""
        public_endpoints.look_again()
        document(app, self.services, guard)  # again, in case app.openapi was replaced after install
        for place in sharing(app):
            document(place.app, self.services, guard, place.at)
        check_mounted(app, self.services.transport)
        check_unambiguous(app)
        check_routes(app)
        if has_mapping(app):
            check_one_mapping(app)
        if self.services.anonymous:
            return
        for call in {call for route in served_routes(app) for call in route.dependencies}:
            if isinstance(call, RouterGuard):
                self._check_rules(call)
            elif isinstance(call, Required | Asked) and call.kit is None:
                self._readable(call.requirement)
                if isinstance(call, Required):
                    call.transport = self.services.transport

    def _report(self, app: Starlette, guard: RouterGuard | None, check: Check) -> None:
        if check == "log":
            report(app, self.services, guard)
        if check == "raise" or (check == "log" and logger.isEnabledFor(logging.INFO)):
            report_findings(self.audit(app).findings, must_be_none=check == "raise")

    def _check_rules(self, guard: RouterGuard | None) -> None:
        for rule in guard.rules if guard is not None else ():
            if rule.requirement is not None and self.services.access.check is None:
                self._readable(rule.requirement)

    def _required(self, requirement: Requirement, name: str) -> Required[M]:
        return Required(self._readable(requirement), self, name, self.services.transport)

    def _tell_evicted(self, record: SessionRecord) -> None:
        announce_of_record(self.services, "revoked", None, record, "more sessions than max_sessions_per_user")

    def _readable(self, requirement: Requirement) -> Requirement:
        if self.services.anonymous:
            raise ConfigurationError(NO_USERS)
        return check_readable(requirement, self.model, self.services.access)

    def document(self, schema: dict[str, Any], app: Starlette | None = None) -> dict[str, Any]:
        """Make a schema say what rules and dependencies require, as ``app.openapi()`` does by itself.

        For a schema of your own: ``kit.document(get_openapi(title=..., version=..., routes=app.routes))``.

        Args:
            schema: what FastAPI's ``get_openapi`` gave; it is changed.
            app: whose routes these are; by default the application that the kit is installed on.

        Returns:
            The same schema.

        Raises:
            ConfigurationError: the kit is on no such application, or on several and none is given.
        """
        places = [
            (place.app, guard, place.at)
            for outer, guard in self._installed
            for place in (Place(outer), *sharing(outer))
            if (place.app is app if app is not None else not place.around)
        ]
        if len(places) != 1:
            raise ConfigurationError(
                "kit.document(schema) is for the one FastAPI application that the kit is installed on: say which it is of, "
                "kit.document(schema, app)"
            )
        return document_schema(schema, self.services, *places[0])

    def audit(self, app: Starlette) -> Audit:
        """Who may do what on an application that this kit is installed on, as it is now; see ``fastapi_sessionkit.audit``.

        Raises:
            ConfigurationError: the kit is not installed there.
        """
        guards = dict(self._installed)
        if app not in guards:
            raise ConfigurationError(
                "kit.audit(app) is about an application that the kit is installed on: kit.install(app)"
            )
        return Audit(app, self.services, guards, self._keys)

    # Dependencies

    async def get_session(self, connection: HTTPConnection) -> M | None:
        """The session, or ``None`` when nobody is signed in. An anonymous kit always has one."""
        return await request_session_of(connection.scope, "kit.get_session", self).load()

    async def get_session_info(self, connection: HTTPConnection) -> SessionInfo | None:
        """When the session was made, last used and will end; ``None`` when nobody is signed in."""
        return await request_session_of(connection.scope, "kit.get_session_info", self).info()

    async def is_authenticated(self, connection: HTTPConnection) -> bool:
        """Whether somebody is signed in."""
        own = request_session_of(connection.scope, "kit.is_authenticated", self)
        await own.settle_now()
        return not own.is_nobody

    def session_of(self, request: HTTPConnection) -> M | None:
        """The session where it is loaded already; see ``fastapi_sessionkit.session_of``."""
        return request_session_of(request.scope, "kit.session_of", self).loaded_session("kit.session_of")

    def session_reason(self, request: HTTPConnection) -> Reason | None:
        """Why nobody is signed in; see ``fastapi_sessionkit.session_reason``."""
        return request_session_of(request.scope, "kit.session_reason", self).absence("kit.session_reason")

    def require(self, requirement: Requirement) -> Required[M]:
        """The session, when it fulfils a requirement; otherwise 401 or 403."""
        return self._required(checked_requirement(requirement), "kit.require")

    def require_role(self, *any_of: str) -> Required[M]:
        """The session, when it has one of these roles; otherwise 401 or 403."""
        return self._required(role(*any_of), "kit.require_role")

    def require_permission(self, *all_of: str) -> Required[M]:
        """The session, when it has all of these permissions; otherwise 401 or 403."""
        return self._required(permission(*all_of), "kit.require_permission")

    def require_any_permission(self, *any_of: str) -> Required[M]:
        """The session, when it has one of these permissions; otherwise 401 or 403."""
        return self._required(any_permission(*any_of), "kit.require_any_permission")

    def require_fresh(self, max_age: Duration) -> Required[M]:
        """The session, when its user signed in at most this long ago; otherwise 401 or 403."""
        return self._required(fresh(max_age), "kit.require_fresh")

    def has_role(self, role_name: str) -> Asked:
        """Whether the session has this role."""
        return Asked(self._readable(role(role_name)), self, "kit.has_role")

    def has_permission(self, permission_name: str) -> Asked:
        """Whether the session has this permission."""
        return Asked(self._readable(permission(permission_name)), self, "kit.has_permission")

    def has_all_permissions(self, *all_of: str) -> Asked:
        """Whether the session has all of these permissions."""
        return Asked(self._readable(permission(*all_of)), self, "kit.has_all_permissions")

    def has_any_permission(self, *any_of: str) -> Asked:
        """Whether the session has one of these permissions."""
        return Asked(self._readable(any_permission(*any_of)), self, "kit.has_any_permission")

    def has_role_permission(self, role_name: str, permission_name: str) -> Asked:
        """Whether the session has both the role and the permission."""
        return Asked(self._readable(role(role_name) & permission(permission_name)), self, "kit.has_role_permission")

    # Mutation

    def set_session(
        self, request: HTTPConnection, session: M, *, ttl: Duration | None = None, persistent: bool = True
    ) -> None:
        """Sign in; see ``fastapi_sessionkit.set_session``."""
        begin_session(request_session_of(request.scope, "kit.set_session", self), session, ttl, persistent)

    async def issue_token(self, request: HTTPConnection, session: M, *, ttl: Duration | None = None) -> str:
        """Begin a session for a client without cookies, and give its token, which is not kept anywhere.

        The session is saved at once, whatever becomes of the response, which no cache may keep. The request's own session
        stays. The token is no cookie, and a cookie's value is no token.

        Where the request has asked who is there, and it is the same user, the token is no fresher than that session: for
        ``fresh`` the user has not proved again who they are.

        Args:
            request: the request that the token is given out in.
            session: an instance of the kit's model.
            ttl: this session's own idle lifetime, ``timedelta`` or seconds; the kit's ``idle_timeout`` by default. With
                ``CookieBackend`` it is the token's lifetime, however much that is used.

        Raises:
            ConfigurationError: the kit was made without ``bearer=True``.
            SessionTooLarge: the session would not fit into the token.
            StoreUnavailable: the session could not be saved.
            TypeError: it is not of the kit's model.
            SessionKitError: the response has started.
        """
        own = request_session_of(request.scope, "kit.issue_token", self)
        return await own.issue_token(session, None if ttl is None else in_seconds(ttl, "ttl"))

    def update_session(
        self, request: HTTPConnection, compute: Callable[[M], Mapping[str, Any]] | None = None, /, **changes: Any
    ) -> None:
        """Change some fields; see ``fastapi_sessionkit.update_session``."""
        request_session_of(request.scope, "kit.update_session", self).update(one_update(compute, changes))

    def clear_session(self, request: HTTPConnection) -> None:
        """Sign out; see ``fastapi_sessionkit.clear_session``."""
        request_session_of(request.scope, "kit.clear_session", self).sign_out()

    def reauthenticate_session(self, request: HTTPConnection) -> None:
        """Note that the user has proved again who they are; see ``fastapi_sessionkit.reauthenticate_session``."""
        request_session_of(request.scope, "kit.reauthenticate_session", self).reauthenticate()

    def session_watch(self, connection: HTTPConnection, every: Duration = 30.0) -> SessionWatch:
        """End a WebSocket or an event stream with its session; see ``fastapi_sessionkit.session_watch``."""
        return watch_of(request_session_of(connection.scope, "kit.session_watch", self), every)

    def regenerate_session(self, request: HTTPConnection) -> None:
        """Move to a new id; see ``fastapi_sessionkit.regenerate_session``."""
        request_session_of(request.scope, "kit.regenerate_session", self).rotate()
