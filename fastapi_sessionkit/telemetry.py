"""OpenTelemetry: what happens to sessions, on the spans of FastAPI's own telemetry and as a counter.

Needs ``opentelemetry-api``, which FastAPI brings along from the release on that has telemetry of its own; the extra
``telemetry`` brings it for others.
"""

from typing import Any, get_args

from opentelemetry import metrics, trace

from .errors import ConfigurationError
from .events import EventName, SessionEvent
from .kit import SessionKit

_TELLING = frozenset({"expired", "denied", "invalid_token", "store_error"})
"""Events whose reason names nothing that a client has chosen, so that it makes a bounded number of series."""


def instrument(kit: SessionKit[Any], *, meter_provider: metrics.MeterProvider | None = None) -> None:
    """Show what happens to a kit's sessions in traces and metrics, without ids and values.

    On the current span, which in a request is one of FastAPI's: ``sessionkit.signed_in`` is true where somebody signed in,
    and so for each event's name; ``sessionkit.denied_reason`` and ``sessionkit.invalid_token_reason`` say why: of a request both
    may be true. The counter ``sessionkit.events`` counts them by ``sessionkit.event`` and ``sessionkit.reason``.

    Without a configured OpenTelemetry SDK both do nothing.

    Args:
        kit: the kit; once.
        meter_provider: whose counter it is; the global one by default, as for ``FastAPI(telemetry={...})``.

    Raises:
        ConfigurationError: the kit is instrumented already, so that everything would count twice.
    """
    if kit.services.events.is_instrumented:
        raise ConfigurationError("This SessionKit is instrumented already: everything would be counted twice")
    kit.services.events.is_instrumented = True
    counter = metrics.get_meter("fastapi_sessionkit", meter_provider=meter_provider).create_counter(
        "sessionkit.events", unit="{event}", description="What happened to sessions."
    )

    def show(event: SessionEvent) -> None:
        shown: dict[str, bool | str] = {f"sessionkit.{event.name}": True}
        counted: dict[str, str] = {"sessionkit.event": event.name}
        if event.reason and event.name in _TELLING:
            shown[f"sessionkit.{event.name}_reason"] = counted["sessionkit.reason"] = event.reason
        trace.get_current_span().set_attributes(shown)
        counter.add(1, counted)

    kit.services.events.observe(get_args(EventName), show)
