"""What the library notes in a record beside the session: as the first member of its JSON, where there is anything to note.

A process that does not know the note keeps it, as it keeps every member that its model does not know.
"""

from typing import NamedTuple

NAME = "__sessionkit__"
_START = f'{{"{NAME}":['.encode()
_LONGEST_VERSION = 9  # digits: thousands of them Python does not read


class Envelope(NamedTuple):
    """A session's JSON, and what is noted about it. A tuple, for one is made wherever a record is read.

    Attributes:
        body: the session as a JSON object.
        moves: whether its rights were changed from outside, so that the next request shall move it to a new id.
        switches: whether it is another user's since then, so that the old id has no grace.
        version: the release of the model that wrote it, the first one where nothing is noted.
        issued: whether its token was given out by ``issue_token``, so that it is no cookie and never moves.
        transient: whether the client is to forget its token when the browser closes.
    """

    body: bytes
    moves: bool = False
    switches: bool = False
    version: int = 1
    issued: bool = False
    transient: bool = False

    def data(self) -> bytes:
        """The record's data."""
        if not (self.moves or self.issued or self.transient) and self.version == 1:
            return self.body
        notes = [str(self.version)] if self.version > 1 else []
        notes += ['"moves"'] if self.moves else []
        notes += ['"switches"'] if self.moves and self.switches else []
        notes += ['"issued"'] if self.issued else []
        notes += ['"transient"'] if self.transient else []
        rest = b"}" if self.body == b"{}" else b"," + self.body[1:]
        return _START + ",".join(notes).encode() + b"]" + rest


def opened(data: bytes) -> Envelope:
    """What is in a record's data."""
    if not data.startswith(_START):
        return Envelope(data)
    notes, _, rest = data[len(_START) :].partition(b"]")
    body = b"{" + rest[1:] if rest != b"}" else b"{}"
    first = notes.partition(b",")[0]
    version = int(first) if first.isdigit() and len(first) <= _LONGEST_VERSION else 1
    marks = (b'"moves"' in notes, b'"switches"' in notes)
    return Envelope(body, *marks, version, b'"issued"' in notes, b'"transient"' in notes)
