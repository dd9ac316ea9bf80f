"""What the parameters of an endpoint or a dependency let a client send, read off FastAPI's own analysis of them."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Annotated, Any, ForwardRef, Literal, get_args, get_origin, get_type_hints

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_typed_signature
from pydantic import BaseModel
from typing_extensions import is_typeddict

Models = tuple[type[BaseModel], ...]

_OTHER_NAMES = ("__value__", "__supertype__", "__bound__", "__default__")
"""Where ``type X = ...``, a ``NewType`` and a ``TypeVar`` keep what they stand for."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A session that a client may send: as which parameter, of which model, and in what part of the request."""

    name: str
    model: type[BaseModel]
    source: str


def sent_sessions(dependant: Dependant, models: Models) -> Iterator[Sent]:
    """The sessions that a client may send to an endpoint or a dependency which never says ``Body()``."""
    for source, fields in _sources(dependant):
        for field in fields:
            model = next(_models_in(field.field_info.annotation, models), None)
            if model is not None and not _says_body(dependant.call, field.name):
                is_form = isinstance(field.field_info, params.Form)
                yield Sent(field.name, model, "form" if is_form else source)


def built_session(call: Any, models: Models) -> type[BaseModel] | None:
    """The session that a bare ``Depends()`` builds from the query: the class itself, or one of its constructors."""
    while isinstance(call, partial):
        call = call.func
    for made in (call, getattr(call, "__self__", None)):
        if inspect.isclass(made) and issubclass(made, models):
            return made
    return None


def unresolved(dependant: Dependant) -> Iterator[tuple[str, str]]:
    """The parameters that are taken from the query because what their annotation names was not found; and that text."""
    for field in dependant.query_params:
        text = _unresolved_in(field.field_info.annotation)
        if text is not None:
            yield field.name, text


def _sources(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    yield "path", dependant.path_params
    yield "query", dependant.query_params
    yield "headers", dependant.header_params
    yield "cookies", dependant.cookie_params
    yield "body", dependant.body_params


def _says_body(call: Any, name: str) -> bool:
    """Whether ``Body()`` is written, in the annotation or as the default. A form is no body in so many words."""
    parameter = get_typed_signature(call).parameters.get(name)
    if parameter is None:
        return False
    annotation = getattr(parameter.annotation, "__value__", parameter.annotation)
    marks = (parameter.default, *getattr(annotation, "__metadata__", ()))
    return any(isinstance(mark, params.Body) and not isinstance(mark, params.Form) for mark in marks)


def _models_in(annotation: Any, models: Models) -> Iterator[type[BaseModel]]:
    """Those of the models that a value of this annotation may be, or hold at any depth."""
    waiting, seen = [annotation], set[int]()
    for part in waiting:  # it grows by the parts of what is looked at, and so keeps what is seen alive
        if id(part) not in seen:
            seen.add(id(part))
            waiting.extend(_parts(part))
            if inspect.isclass(part) and get_origin(part) is None and issubclass(part, models):
                yield part


def _parts(annotation: Any) -> Iterator[Any]:
    """What an annotation is made of: its origin and arguments, what it is another name for, the fields of a class."""
    if get_origin(annotation) is not None:
        yield get_origin(annotation)
        yield from get_args(annotation)
    elif inspect.isclass(annotation):
        yield from _fields(annotation)
    else:
        yield from (getattr(annotation, name, None) for name in _OTHER_NAMES)
        yield from getattr(annotation, "__constraints__", ())


def _fields(kind: type) -> Iterator[Any]:
    """The annotations of a class' fields, where Pydantic reads such a class from what a client sends."""
    if issubclass(kind, BaseModel):
        yield from (field.annotation for field in kind.model_fields.values())
    elif is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "_fields"):
        yield from getattr(kind, "__orig_bases__", ())  # ``Transfer(Of[AppSession])``, whose hints don't tell
        try:
            yield from get_type_hints(kind).values()
        except NameError:  # nor can Pydantic resolve it
            return


def _unresolved_in(annotation: Any) -> str | None:
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation
    if get_origin(annotation) is Literal:
        return None
    parts = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return next((text for text in map(_unresolved_in, parts) if text is not None), None)
