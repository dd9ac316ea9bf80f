"""What fails the start of an application: routes whose parameters or dependencies don't do what they seem to do.

A route that is added later fails the first request after it.
"""

from collections.abc import Container, Iterator
from functools import partial
from typing import Any

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.applications import Starlette

from .._request.lookup import ambiguity_message, installed, installed_kits
from ..dependencies import (
    Asked,
    Required,
    get_session,
    get_session_info,
    is_authenticated,
    require_session,
)
from ..errors import ConfigurationError
from ..guard import RouterGuard
from ..requirements import Requirement, no_dependency_message
from ..session import Session
from .kits import Place, places
from .makers import is_ours, made_by, maker_in, plain
from .parameters import Models, built_session, sent_sessions, unresolved
from .routes import below, dependants, host_parameters, parameters_of

_OF_NO_KIT = frozenset({get_session, get_session_info, is_authenticated})

_EXAMPLES = {
    "require": 'role("admin")',
    "require_role": '"admin"',
    "require_permission": '"reports:read"',
    "require_any_permission": '"reports:read", "reports:write"',
    "require_fresh": "600",
    "has_role": '"admin"',
    "has_permission": '"reports:read"',
    "has_all_permissions": '"reports:read", "reports:write"',
    "has_any_permission": '"reports:read", "reports:write"',
    "has_role_permission": '"admin", "reports:read"',
    "role": '"admin"',
    "permission": '"reports:read"',
    "any_permission": '"reports:read", "reports:write"',
    "fresh": "minutes=10",
    "owner": '"user_id"',
}
"""What a maker of dependencies or requirements is called with, for example."""

_CHANGES = frozenset({"set_session", "update_session", "clear_session", "regenerate_session", "reauthenticate_session"})
"""What changes the session, where an endpoint calls it."""

_INSTEAD = {
    "is_authenticated": "require_session",
    "has_role": 'require_role("admin")',
    "has_permission": 'require_permission("reports:read")',
    "has_all_permissions": 'require_permission("reports:read", "reports:write")',
    "has_any_permission": 'require_any_permission("reports:read", "reports:write")',
    "has_role_permission": 'require(role("admin") & permission("reports:read"))',
}
"""What answers yes or no and refuses nobody, and what refuses instead. ``get_session`` has a use there: it loads early."""


def check_routes(app: Starlette) -> None:
    """Look at every route of the application and of what is mounted on it.

    Raises:
        ConfigurationError: one of them lets people in whom it seems to refuse, or takes a session from the client.
    """
    in_hosts = frozenset(name for place in places(app) for name in host_parameters(place.app))
    for place in places(app):
        overridden = getattr(place.app, "dependency_overrides", ())
        models: Models = (Session, *_models_at(place))
        for path, endpoint in dependants(place.app):
            where = place.at + path
            _check_parameters(where, endpoint, models)
            for dependency in below(endpoint, overridden):
                _check_called(where, dependency.call)
                _check_variables(where, dependency.call, in_hosts)
                _check_built(where, dependency.call, models)
                _check_parameters(where, dependency, models)
            _check_answers(where, endpoint, overridden)


def check_unambiguous(app: Starlette) -> None:
    """Raise ``ConfigurationError`` for a route that asks for "the" session where there are several.

    What endpoints call themselves is left to ``request_session_of``, which raises at the request.
    """
    for place in places(app):
        if _has_several(place):
            overridden = getattr(place.app, "dependency_overrides", ())
            for path, endpoint in dependants(place.app):
                for dependency in below(endpoint, overridden):
                    _check_of_a_kit(place.at + path, dependency.call)


def _models_at(place: Place) -> Iterator[type[BaseModel]]:
    for app in (*place.around, place.app):
        for services in installed(app):
            yield services.codec.model


def _check_called(where: str, call: Any) -> None:
    """Refuse ``Depends(require_fresh)``, ``Depends(role("admin"))`` and ``Depends(set_session)``.

    FastAPI would call them with what the query says, and take what they make for the answer: nobody would be refused.
    """
    function = plain(call)
    if isinstance(function, Requirement):
        raise ConfigurationError(f"{where}: {no_dependency_message(function)}")
    maker = maker_in(call)
    if maker is not None:
        name = _full_name(maker)
        instead = f"{name}({_EXAMPLES.get(maker.__name__, '...') if is_ours(maker) else '...'})"
        if issubclass(made_by(maker) or object, Requirement):
            instead = f"require({instead})"
        raise ConfigurationError(
            f"{where}: Depends({_written(call, name)}) asks nothing, for {name} only makes a dependency: write "
            f"Depends({instead})"
        )
    if is_ours(function) and getattr(function, "__name__", "") in _CHANGES:
        name = _full_name(function)
        raise ConfigurationError(
            f"{where}: {name} is no dependency, for FastAPI would take from the client what it is called with: call "
            f"{name}(request, ...) in the endpoint, or in a dependency of your own"
        )


def _check_variables(where: str, call: Any, in_hosts: Container[str]) -> None:
    """Refuse ``Depends(require(owner("user_id")))`` where the path has no ``{user_id}``: it would refuse everybody."""
    call = plain(call)
    for leaf in call.requirement.leaves() if isinstance(call, Required | Asked) else ():
        if leaf.variable and leaf.variable not in parameters_of(where) and leaf.variable not in in_hosts:
            raise ConfigurationError(
                f"{where}: {leaf} reads the path parameter {leaf.variable}, and this path has none: write it as "
                f"{{{leaf.variable}}}, or name one that it has"
            )


def _check_answers(where: str, endpoint: Dependant, overridden: Container[Any]) -> None:
    """Refuse ``dependencies=[Depends(has_role("admin"))]``, which throws the answer away and lets everybody in."""
    for dependency in endpoint.dependencies:
        if dependency.name is not None or dependency.call in overridden:
            continue  # it is a parameter's, which has the answer
        call = plain(dependency.call)
        name = call.name if isinstance(call, Asked) else _full_name(call) if is_ours(call) else ""
        of_kit, _, short = name.rpartition(".")
        if short in _INSTEAD:
            written = f"{name}(...)" if isinstance(call, Asked) else name
            instead = f"{of_kit}.{_INSTEAD[short]}" if of_kit else _INSTEAD[short]
            raise ConfigurationError(
                f"{where}: Depends({written}) among dependencies=[...] throws its answer away, so it lets everybody in: "
                f"write Depends({instead}), or take the answer as a parameter"
            )


def _check_parameters(where: str, dependant: Dependant, models: Models) -> None:
    """Refuse a session that is taken from what the client sends, and a dependency that became a query parameter."""
    for name, text in unresolved(dependant):
        raise ConfigurationError(
            f"{where}: {name}: {text} could not be resolved, so FastAPI takes {name} from the query, and no dependency "
            "that is meant by it runs. An annotation that is postponed (by the import from __future__) or quoted is a text, and "
            "the names of a surrounding function are out of its reach: define what it names at the top of the module, or "
            "leave that import out"
        )
    for sent in sent_sessions(dependant, models):
        model = sent.model.__name__
        raise ConfigurationError(
            f"{where}: {sent.name} takes its {model} from the {sent.source}, so that the client says who is signed in: write "
            f"{sent.name}: Annotated[{model}, Depends(kit.require_session)]. Where the client shall send one, say so: "
            f"{sent.name}: Annotated[{model}, Body()]"
        )


def _check_built(where: str, call: Any, models: Models) -> None:
    """Refuse ``Depends(AppSession)``, and ``Annotated[AppSession, Depends()]``, which is the same."""
    built = built_session(call, models)
    if built is not None:
        model = built.__name__
        raise ConfigurationError(
            f"{where}: Depends() builds its {model} from the query, so that the client says who is signed in: write "
            f"Annotated[{model}, Depends(kit.require_session)]"
        )


def _check_of_a_kit(where: str, call: Any) -> None:
    if _is_of_no_kit(call):
        name = "RouterGuard(...)" if isinstance(call, RouterGuard) else getattr(call, "__name__", repr(call))
        name = "require_session" if call == require_session else name
        raise ConfigurationError(f"{where}: {ambiguity_message(f'Depends({name})')}")


def _has_several(place: Place) -> bool:
    """Whether the innermost application that has a kit of its own has more than one.

    A kit that it shares with those around it is not asked for first here.
    """
    applications = (*place.around, place.app)
    for anonymous in (False, True):  # one that is anonymous is meant only where there is no other
        on = [set(installed_kits(app, anonymous=anonymous)) for app in applications]
        for depth in range(len(on), 0, -1):
            kits, shared = on[depth - 1], set().union(*on[: depth - 1])
            if kits - shared:
                return len(kits) > 1
    return False


def _is_of_no_kit(call: Any) -> bool:
    if isinstance(call, Required | Asked):
        return call.kit is None
    return isinstance(call, RouterGuard) or call in _OF_NO_KIT


def _full_name(call: Any) -> str:
    """As it is written: ``require_fresh``, or ``kit.require_fresh``."""
    name: str = getattr(call, "__name__", "")
    return f"kit.{name}" if hasattr(call, "__self__") and is_ours(call) else name


def _written(call: Any, name: str) -> str:
    """How a maker of this name is written where it is taken for a dependency."""
    if isinstance(call, partial):
        return f"partial({name}, ...)"
    return "lambda: ..." if getattr(call, "__name__", "") == "<lambda>" else name
