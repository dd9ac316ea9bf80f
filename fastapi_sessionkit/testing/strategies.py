"""Sessions for property tests (needs Hypothesis)."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, TypeVar, get_args

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from hypothesis import reject
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from .._request.codec import SessionCodec
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

    Fields with a default have it at times. Those whose type says nothing (``Any``) always have it.

    Args:
        model: the model of the sessions.
        fields: a strategy, or a value, for fields by name: to pin what a test is about, or where values of the type
            alone do not fit the model. Extra fields too, where the model takes them.
    """
    codec = SessionCodec(model)
    strategies = {name: _strategy(model, name, field) for name, field in model.model_fields.items()}
    strategies |= {
        name: given if isinstance(given, st.SearchStrategy) else st.just(given) for name, given in fields.items()
    }

    @st.composite
    def drawn(draw: st.DrawFn) -> M:
        values = {name: draw(strategy) for name, strategy in strategies.items()}
        try:
            session = model.model_validate(
                {name: value for name, value in values.items() if value is not _DEFAULT}, by_alias=False, by_name=True
            )
            codec.check_readable(session, codec.dump(session))
        except (ValidationError, TypeError):
            reject()
        return session

    return drawn()


def _strategy(model: type[BaseModel], name: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    if name in _OF_SESSION and _is_inherited(model, name):
        values = _OF_SESSION[name]
    elif _says_nothing(field.annotation):
        return st.just(_DEFAULT)
    else:
        values = _of_type(field)
    return values if field.is_required() else st.just(_DEFAULT) | values


def _of_type(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Values of the field's type, within the bounds that Hypothesis understands. The model refuses what is left."""
    annotation: Any = field.annotation
    bounds = list(_bounds(field.metadata))
    pattern = next((each.pattern for each in bounds if isinstance(getattr(each, "pattern", None), str)), None)
    if annotation is str and pattern is not None:
        return st.from_regex(pattern)
    understood = [each for each in bounds if isinstance(each, _UNDERSTOOD)]
    bounded: Any = Annotated[annotation, *understood] if understood else annotation
    return st.from_type(bounded)


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
