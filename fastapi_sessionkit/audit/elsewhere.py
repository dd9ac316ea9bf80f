"""What another kit of the application asks for, told apart from what the audited one does."""

from dataclasses import dataclass

from ..access import Subject
from ..requirements import NOBODY, Requirement, all_of, any_of, folded


@dataclass(frozen=True, slots=True)
class Elsewhere(Requirement):
    """One thing that another kit asks for: ``staff/role:lead``.

    Attributes:
        kit: that kit's name.
        asked: what it asks of its own session.
    """

    kit: str
    asked: Requirement

    @property
    def name(self) -> str:
        """Its name there, after that of the kit."""
        return f"{self.kit}/{self.asked}"

    async def refusal(self, subject: Subject) -> str | None:  # noqa: ARG002 - it is of another kit
        """The audited kit's people are nobody there."""
        return self.reason(NOBODY)

    def reason(self, said: str) -> str:
        """A reason of that kit's, with its name."""
        return f"{said} with {self.kit}" if said == NOBODY else f"{self.kit}: {said}"


def elsewhere(kit: str, requirement: Requirement) -> Requirement:
    """The same requirement, asked by another kit of this name."""
    return folded(
        requirement,
        lambda leaf: Elsewhere(kit, leaf),
        lambda parts: all_of(*parts),
        lambda parts: any_of(*parts),
    )
