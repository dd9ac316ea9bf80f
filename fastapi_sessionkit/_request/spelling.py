"""A name that was probably meant to be another: a field of the model, one or two letters away."""

from collections.abc import Iterable

_SHORTEST = 3  # a shorter name is near to everything
_TWO_FROM = 6  # two letters of five are no slip any more: "mode" is not meant to be "role"


def probably_meant(name: str, known: Iterable[str]) -> str | None:
    """The name that is the fewest letters away, and few enough to be a slip; ``None`` where there is none."""
    candidates = [other for other in known if _slips(name, other)]  # nothing is counted for a name of any length
    near = [(_edits(name, other), other) for other in candidates if _edits(name, other) <= _slips(name, other)]
    return min(near)[1] if near else None


def _slips(one: str, two: str) -> int:
    """How many letters may be wrong in names of this length."""
    shorter, longer = sorted((len(one), len(two)))
    if shorter < _SHORTEST or longer - shorter > 2:
        return 0
    return 1 if longer < _TWO_FROM else 2


def _edits(one: str, two: str) -> int:
    """How many letters are inserted, deleted, replaced or swapped with their neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(two, 1):
            fewest = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == two[j - 2] and other == one[i - 2]:
                fewest = min(fewest, older[j - 2] + 1)
            row.append(fewest)
    return row[-1]
