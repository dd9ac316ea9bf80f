"""What the requests of a kit share."""

from dataclasses import dataclass, field
from typing import Generic

from ..access import Access
from ..backends.base import SessionBackend
from ..transport import Transport
from .codec import M, SessionCodec
from .lifetimes import Lifetimes
from .origin import OriginPolicy
from .reading import Reader
from .revalidation import Revalidation


@dataclass(frozen=True, slots=True)
class Services(Generic[M]):
    """The parts of one kit that its requests use. ``rotation_grace`` is in seconds."""

    kit: object
    codec: SessionCodec[M]
    backend: SessionBackend
    transport: Transport
    origins: OriginPolicy
    access: Access
    lifetimes: Lifetimes
    rotation_grace: float
    revalidation: Revalidation[M] | None = None
    reader: Reader[M] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reader", Reader(self.codec, self.lifetimes, asks_again=self.revalidation is not None))
