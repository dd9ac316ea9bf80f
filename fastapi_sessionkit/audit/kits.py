"""The kits of an application, as the audit of one of them sees them: each asks its own people."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.applications import Starlette

from .._application.kits import Place, gate_of, places
from .._application.routes import ServedRoute
from .._request.lookup import installed, installed_kits
from .._request.services import Services
from ..dependencies import Required
from ..guard import RouterGuard
from ..openapi import Case, combined
from ..requirements import Requirement
from .elsewhere import elsewhere

Guards = Mapping[Starlette, RouterGuard | None]


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """One kit of the application.

    Attributes:
        services: its parts.
        guards: the applications that it is installed on, each with its guard.
        name: of another kit than the audited one, whose own is empty.
    """

    services: Services[Any]
    guards: Guards
    name: str = ""

    def asks(self, requirement: Requirement | None) -> Requirement | None:
        """What it asks for, as the audit shows it."""
        return elsewhere(self.name, requirement) if self.name and requirement is not None else requirement

    def gates(self, place: Place, at: str) -> Iterator[tuple[RouterGuard, str]]:
        """Its guards that a request to a route of a place passes, each with the path before the route's as it sees it."""
        for app, mount in zip((*place.around, place.app), (*place.mounts, place.at), strict=True):
            guard = self.guards.get(app)
            if guard is not None:
                yield guard, at.removeprefix(mount)

    def cases(self, route: ServedRoute, method: str, gates: Iterable[tuple[RouterGuard, str]]) -> list[Case]:
        """What it asks for on the paths of a route, of which it gets only the dependencies that are its own."""
        return [
            replace(
                case,
                requirement=self.asks(case.requirement),
                said=tuple(replace(said, requirement=self.asks(said.requirement), kit=self.name) for said in case.said),
            )
            for case in combined(route, method, self.services, gates)
        ]


def kits_of(app: Starlette, services: Services[Any], guards: Guards) -> tuple[Kit, ...]:
    """The audited kit, and then every other that is on the application or on what is mounted there."""
    found: dict[object, Services[Any]] = {each.kit: each for place in places(app) for each in installed(place.app)}
    found.pop(services.kit, None)
    every: list[Any] = [services.kit, *found]
    return (Kit(services, guards), *(_other_kit(app, each, label_of(each.kit, every)) for each in found.values()))


def _other_kit(app: Starlette, services: Services[Any], name: str) -> Kit:
    apps = [place.app for place in places(app) if services.kit in (each.kit for each in installed(place.app))]
    return Kit(services, {each: gate_of(each, services.kit)[0] for each in apps}, name)


def label_of(kit: Any, kits: Iterable[Any]) -> str:
    """What tells a kit from the others: its name or, where another one has the same, what OpenAPI calls its scheme."""
    is_alone = [each.name for each in kits].count(kit.name) == 1
    label: str = kit.name if is_alone else kit.scheme_name
    return label


def asked_by(kits: tuple[Kit, ...], place: Place, call: Any) -> Kit | None:
    """The kit that a dependency of a route at a place asks: its own, or the one of the innermost application that has any."""
    own = call.kit if isinstance(call, Required) else None
    meant = [own] if own is not None else _meant_at(place)
    return next((kit for kit in kits if kit.services.kit in meant), None)


def _meant_at(place: Place) -> list[object]:
    """The kits that dependencies of no kit mean there. An anonymous one is meant only where there is no other."""
    for anonymous in (False, True):
        for app in (place.app, *reversed(place.around)):
            found = installed_kits(app, anonymous=anonymous)
            if found:
                return found
    return []
