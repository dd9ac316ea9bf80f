"""Sessions for property tests (needs Hypothesis)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from inspect import isclass
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from hypothesis import reject
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from .._request.codec import SessionCodec
from ..errors import ConfigurationError
from ..session import Session

M = TypeVar("M", bound=BaseModel)

_DEFAULT = object()
_UNDERSTOOD = (Gt, Ge, Lt, Le, MinLen, MaxLen, MultipleOf)
_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
_SOME_NAMES = st.lists(_NAMES, max_size=3).map(tuple)

_OF_SESSION: dict[str, st.SearchStrategy[Any]] = {
    "user_id": _NAMES.filter(str.strip),
    "email": st.none() | st.builds("{}@example.com".format, _NAMES),
    "role": st.none() | _NAMES,
    "roles": _SOME_NAMES,
    "permissions": _SOME_NAMES,
}
"""For the fields of ``Session`` itself, whose checks say nothing to Hypothesis."""


def sessions_of(model: type[M], **fields: Any) -> st.SearchStrategy[M]:
    """Sessions of a model, as a Hypothesis strategy; each can be signed in and is read back as it was.

    ::

        @given(sessions_of(AppSession, role="customer", roles=()))
        def test_no_customer_ever_reaches_the_admin_area(session): ...

    Fields with a default have it at times. Those whose type says nothing (``Any``) always have it. Models in fields are
    made in the same way.

    Args:
        model: the model of the sessions.
        fields: a strategy, or a value, for fields by name: to pin what a test is about, or where values of the type
            alone do not fit the model. Extra fields too, where the model takes them.

    Raises:
        ConfigurationError: Hypothesis has no values of a field's type, so ``fields`` has to say some.
    """
    codec = SessionCodec(model)
    strategies = _strategies(model, fields)

    @st.composite
    def drawn(draw: st.DrawFn) -> M:
        session = _made(draw, model, strategies)
        try:
            codec.check_readable(session, codec.dump(session))
        except (ValidationError, TypeError):
            reject()
        return session

    return drawn()


def _strategies(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, st.SearchStrategy[Any]]:
    """Strategies for all fields of a model; those that are given instead of the type's own."""
    own = {name: _strategy(model, name, field) for name, field in model.model_fields.items() if name not in given}
    return own | {name: each if isinstance(each, st.SearchStrategy) else st.just(each) for name, each in given.items()}


def _made(draw: st.DrawFn, model: type[M], strategies: Mapping[str, st.SearchStrategy[Any]]) -> M:
    values = {name: draw(strategy) for name, strategy in strategies.items()}
    try:
        return model.model_validate(
            {name: value for name, value in values.items() if value is not _DEFAULT}, by_alias=False, by_name=True
        )
    except (ValidationError, TypeError):
        reject()


_made_of = st.composite(_made)


def _strategy(model: type[BaseModel], name: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    if name in _OF_SESSION and _is_inherited(model, name):
        values = _OF_SESSION[name]
    elif _says_nothing(field.annotation):
        return st.just(_DEFAULT)
    else:
        values = _checked(_of_type(field.annotation, field.metadata), model, name)
    return values if field.is_required() else st.just(_DEFAULT) | values


def _checked(strategy: st.SearchStrategy[Any], model: type[BaseModel], name: str) -> st.SearchStrategy[Any]:
    try:
        strategy.validate()
    except Exception as error:
        raise ConfigurationError(
            f"Hypothesis has no values for {model.__name__}.{name} ({type(error).__name__}): give it some, "
            f"sessions_of({model.__name__}, {name}=st.sampled_from([...]))"
        ) from error
    return strategy


def _of_type(annotation: Any, metadata: Iterable[Any]) -> st.SearchStrategy[Any]:
    """Values of a type, within the bounds that Hypothesis understands. The model refuses what is left."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return st.deferred(lambda: _made_of(annotation, _strategies(annotation, {})))
    arguments, origin = get_args(annotation), get_origin(annotation)
    if origin is Annotated:
        return _of_type(arguments[0], (*arguments[1:], *metadata))
    if origin in (Union, UnionType):
        return st.one_of([_of_type(each, metadata) for each in arguments])
    if origin in _COLLECTIONS and any(map(_has_pydantics, arguments)):
        made: st.SearchStrategy[Any] = _COLLECTIONS[origin](
            *(_of_type(each, ()) for each in arguments if each is not ...)
        )
        return made
    return _of_plain_type(annotation, metadata)


# Types of Pydantic's own, of which Hypothesis would guess values that can't be.
_PYDANTICS: dict[Any, st.SearchStrategy[Any]] = {
    AwareDatetime: st.datetimes(timezones=st.just(UTC)),
    SecretStr: st.text().map(SecretStr),
    SecretBytes: st.text().map(lambda text: SecretBytes(text.encode())),
}


def _of_plain_type(annotation: Any, metadata: Iterable[Any]) -> st.SearchStrategy[Any]:
    bounds = list(_bounds(metadata))
    pattern = next((each.pattern for each in bounds if isinstance(getattr(each, "pattern", None), str)), None)
    if annotation is str and pattern is not None:
        return st.from_regex(pattern)
    if isclass(annotation) and annotation in _PYDANTICS:
        return _PYDANTICS[annotation]
    understood = [each for each in bounds if isinstance(each, _UNDERSTOOD)]
    bounded: Any = Annotated[annotation, *understood] if understood else annotation
    return st.from_type(bounded)


def _few(of: Any) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=3)


_COLLECTIONS: dict[Any, Any] = {
    list: _few,
    tuple: lambda *of: _few(of[0]).map(tuple) if len(of) == 1 else st.tuples(*of),
    dict: lambda key, of: st.dictionaries(key, of, max_size=3),
}
"""How those are made whose parts are models."""


def _has_pydantics(annotation: Any) -> bool:
    """Whether there are models in it, or other types of Pydantic's."""
    is_one = isclass(annotation) and (issubclass(annotation, BaseModel) or annotation in _PYDANTICS)
    return is_one or any(map(_has_pydantics, get_args(annotation)))


def _bounds(metadata: Iterable[Any]) -> Iterator[Any]:
    for each in metadata:
        if isinstance(each, GroupedMetadata):
            yield from _bounds(each)
        else:
            yield each


def _is_inherited(model: type[BaseModel], name: str) -> bool:
    own, of_session = model.model_fields[name], Session.model_fields[name]
    return (own.annotation, own.metadata) == (of_session.annotation, of_session.metadata)


def _says_nothing(annotation: Any) -> bool:
    return annotation in {Any, object} or any(map(_says_nothing, get_args(annotation)))
