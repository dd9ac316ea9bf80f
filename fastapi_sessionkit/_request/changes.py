"""What one request wants of its session, as plain data: made at the first mark, read by what saves it."""

from dataclasses import dataclass, field
from enum import Enum

from .codec import Patch, Update


class Action(Enum):
    """What is to be done to the session itself; patches of its fields are kept beside it."""

    KEEP = "keep"
    ROTATE = "rotate"
    SIGN_IN = "sign in"
    SIGN_OUT = "sign out"


@dataclass(frozen=True, slots=True)
class OldSession:
    """A session of another library: its cookie, and when that was given out (Unix seconds), where it is known."""

    value: bytes
    began_at: float | None


@dataclass(slots=True)
class Changes:
    """The marks of one request.

    Attributes:
        action: what is to be done to the session.
        patches: what is to be done to its fields, in order.
        unread: patches that were marked before the session was loaded, not validated as a whole yet.
        reauthenticates: whether the user has proved again who they are, so that the old id has no grace.
        switches_user: whether the patches make it another user's session.
        switched: whether it was made another user's from outside, so that the old id has no grace.
        ttl: the idle lifetime in seconds of a session that begins; ``None``: the kit's.
        transient: whether the client forgets the token of a session that begins when the browser closes.
        answer: what the ``revalidate`` hook changed; before all patches.
        takes_over: the session of another library that the one which begins comes from.
        gives_token: whether a token was issued, so that no cache may keep the response. It is saved already.
    """

    action: Action = Action.KEEP
    patches: list[Patch] = field(default_factory=list)
    unread: list[Update] = field(default_factory=list)
    reauthenticates: bool = False
    switches_user: bool = False
    switched: bool = False
    ttl: float | None = None
    transient: bool = False
    answer: Patch | None = None
    gives_token: bool = False
    takes_over: OldSession | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be saved."""
        return self.action is Action.KEEP and not self.all_patches

    @property
    def all_patches(self) -> list[Patch]:
        """The hook's answer, then what was marked."""
        return self.patches if self.answer is None else [self.answer, *self.patches]
