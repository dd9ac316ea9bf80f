"""OpenTelemetry: a request's span and a counter say what happened to sessions, without ids and values."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from fastapi_sessionkit import ConfigurationError, SessionKit
from fastapi_sessionkit.testing import signed_in
from tests.events.support import eventful_application
from tests.support import ADA, AppSession, RecordingStore, app_kit, client_of, holding

trace = pytest.importorskip("opentelemetry.trace", reason="needs opentelemetry-api")
metrics = pytest.importorskip("opentelemetry.metrics", reason="needs opentelemetry-api")

from fastapi_sessionkit.telemetry import instrument  # noqa: E402 - where the API is missing it can't be imported

Series = tuple[tuple[str, Any], ...]


class Counter:
    """Counts by attributes."""

    def __init__(self) -> None:
        self.counted: dict[Series, int] = {}

    def add(self, amount: int, attributes: Mapping[str, Any]) -> None:
        series = tuple(sorted(attributes.items()))
        self.counted[series] = self.counted.get(series, 0) + amount


class Meters(metrics.NoOpMeterProvider):  # type: ignore[misc,name-defined]
    """Gives one counter, by the name that it is asked for."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter] = {}

    def get_meter(self, *_: Any, **__: Any) -> Any:
        return self

    def create_counter(self, name: str, **_: Any) -> Counter:
        return self.counters.setdefault(name, Counter())


class Span(trace.NonRecordingSpan):  # type: ignore[misc,name-defined]
    """Keeps its attributes."""

    def __init__(self) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.attributes: dict[str, Any] = {}

    def is_recording(self) -> bool:
        return True

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self.attributes.update(attributes)


class Tracer(trace.NoOpTracer):  # type: ignore[misc,name-defined]
    """Keeps the spans that it starts."""

    def __init__(self, spans: dict[str, Span]) -> None:
        self._spans = spans

    def start_span(self, name: str, *_: Any, **__: Any) -> Any:
        return self._spans.setdefault(name, Span())

    @contextmanager
    def start_as_current_span(self, name: str, *_: Any, **__: Any) -> Iterator[Any]:
        with trace.use_span(self.start_span(name)) as span:
            yield span


class Tracers(trace.TracerProvider):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}

    def get_tracer(self, *_: Any, **__: Any) -> Any:
        return Tracer(self.spans)


@pytest.fixture
def kit() -> SessionKit[AppSession]:
    return app_kit(backend=RecordingStore())


def test_the_counter_counts_each_event_by_name(kit: SessionKit[AppSession]) -> None:
    meters = Meters()
    instrument(kit, meter_provider=meters)
    client = client_of(eventful_application(kit))
    client.post("/in")
    client.post("/in")
    client.post("/out")
    holding(client, "junk").get("/who")

    assert meters.counters["sessionkit.events"].counted == {
        (("sessionkit.event", "signed_in"),): 2,
        (("sessionkit.event", "signed_out"),): 1,
        (("sessionkit.event", "invalid_token"), ("sessionkit.reason", "malformed")): 1,
    }


def test_the_counter_never_holds_what_a_client_chose(kit: SessionKit[AppSession]) -> None:
    meters = Meters()
    instrument(kit, meter_provider=meters)
    client = signed_in(client_of(eventful_application(kit)), kit, ADA)
    client.post("/note", headers={"origin": "https://evil.example"})
    client.get("/admin/a-path-of-the-clients")

    told = repr(meters.counters["sessionkit.events"].counted)
    assert "refused_origin" in told
    assert "role:admin is missing" in told
    assert not [value for value in ("evil", "ada", "clients") if value in told]


def test_a_trace_of_fastapis_own_telemetry_shows_the_sessions_part(kit: SessionKit[AppSession]) -> None:
    pytest.importorskip("fastapi.telemetry", reason="this FastAPI has no telemetry of its own")
    from fastapi import Depends, FastAPI, Request

    from fastapi_sessionkit import require_role, set_session

    tracers = Tracers()
    instrument(kit, meter_provider=Meters())
    app = FastAPI(telemetry={"tracer_provider": tracers})
    kit.install(app)

    @app.post("/in")
    async def sign_in(request: Request) -> None:
        set_session(request, ADA)

    app.add_api_route("/admin", lambda: None, dependencies=[Depends(require_role("admin"))])
    client = client_of(app)
    client.post("/in")
    client.get("/admin")

    shown = {
        key: value
        for span in tracers.spans.values()
        for key, value in span.attributes.items()
        if key.startswith("sessionkit.")
    }
    assert shown == {
        "sessionkit.signed_in": True,
        "sessionkit.denied": True,
        "sessionkit.denied_reason": "role:admin is missing",
    }


def test_a_span_keeps_why_of_all_that_happened_in_it(kit: SessionKit[AppSession]) -> None:
    instrument(kit, meter_provider=Meters())
    span = Span()
    with trace.use_span(span):
        holding(client_of(eventful_application(kit)), "junk").get("/admin/desk")

    assert span.attributes == {
        "sessionkit.invalid_token": True,
        "sessionkit.invalid_token_reason": "malformed",
        "sessionkit.denied": True,
        "sessionkit.denied_reason": "nobody is signed in",
    }


def test_nothing_is_told_twice(kit: SessionKit[AppSession]) -> None:
    instrument(kit, meter_provider=Meters())

    with pytest.raises(ConfigurationError, match="instrumented already"):
        instrument(kit)


def test_without_a_configured_sdk_nothing_happens(kit: SessionKit[AppSession]) -> None:
    instrument(kit)

    assert client_of(eventful_application(kit)).post("/in").status_code == 200


def test_a_meter_that_raises_breaks_no_request(kit: SessionKit[AppSession], caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Counter):
        def add(self, amount: int, attributes: Mapping[str, Any]) -> None:
            raise RuntimeError("a value")

    meters = Meters()
    meters.counters["sessionkit.events"] = Broken()
    instrument(kit, meter_provider=meters)

    assert client_of(eventful_application(kit)).post("/in").status_code == 200
    assert "raised RuntimeError" in caplog.text
    assert "a value" not in caplog.text
