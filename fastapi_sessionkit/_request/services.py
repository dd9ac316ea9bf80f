"""What the requests of a kit share."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic
from weakref import WeakKeyDictionary

from ..access import Access
from ..backends.base import SessionBackend
from ..backends.takeover import Takeover
from ..cookie import OldCookie
from ..transport import Transport
from .announcing import Announcer
from .codec import M, SessionCodec
from .lifetimes import Lifetimes
from .origin import OriginPolicy
from .reading import Reader
from .revalidation import Revalidation


@dataclass(frozen=True, slots=True)
class OldSessions:
    """Another library's sessions, which are taken over: what leads to them, and the cookie that brings them."""

    takeover: Takeover
    cookie: OldCookie


@dataclass(slots=True)
class Use:
    """What the application does with a kit, which shows after the kit was made.

    Attributes:
        in_pages: whether templates are given the session, which they can't wait for.
    """

    in_pages: bool = False


@dataclass(frozen=True, slots=True)
class Services(Generic[M]):
    """The parts of one kit that its requests use.

    Attributes:
        transport: what brings the token of these requests.
        transports: the kit's one or two, in the order in which a client is told of them.
        rotation_grace: in seconds.
        alternative: the same for the requests that use the second transport; ``None`` where there is no other.
        varies_by: the request headers that decide whose a request is, for ``Vary``.
        anonymous: whether nobody signs in, and every visitor has a session.
        elsewhere: the service that begins, changes and ends sessions; ``None``: the application does.
        old: sessions of another library that are taken over; ``None``: there are none.
    """

    kit: object
    codec: SessionCodec[M]
    backend: SessionBackend
    transport: Transport
    transports: tuple[Transport, ...]
    origins: OriginPolicy
    access: Access
    lifetimes: Lifetimes
    rotation_grace: float
    events: Announcer
    revalidation: Revalidation[M] | None = None
    anonymous: bool = False
    elsewhere: str | None = None
    old: "OldSessions | None" = None
    alternative: "Services[M] | None" = field(init=False)
    varies_by: bytes = field(init=False)
    reader: Reader[M] = field(init=False)
    use: Use = field(init=False, default_factory=Use)
    # What open connections share, by event loop and token; see looking.py.
    looks: MutableMapping[Any, dict[bytes, Any]] = field(init=False, repr=False, default_factory=WeakKeyDictionary)

    def __post_init__(self) -> None:
        asks_again, issued, last = self.revalidation is not None, self.transport.issued, self.transports[-1]
        reader = Reader(self.codec, self.lifetimes, asks_again=asks_again, issued=issued)
        object.__setattr__(
            self, "alternative", None if self.transport is last else replace(self, transport=last, old=None)
        )
        object.__setattr__(self, "varies_by", b", ".join(transport.varies_by for transport in self.transports))
        object.__setattr__(self, "reader", reader)
