"""What a session looks like in Redis, and the scripts that change one without reading it first.

One string a session: a header of fixed size, whose, where it moved to, and the data. The scripts look at the header
only, by position; times are big-endian doubles and the version is eight bytes, so a comparison needs no parsing. Each
script touches one key, so a cluster runs it where that key lives.
"""

import hashlib
import math
import os
import struct
from dataclasses import dataclass

import hiredis

from ..base import SessionRecord, StoreError

_FORMAT = 1
_NOBODY = 0xFFFF
_TIME = struct.Struct(">d")
_LENGTH = struct.Struct(">H")
# Format, 1 if rotated away, version, expires, last seen, created, authenticated; then the stamp.
_FRONT = struct.Struct(">BBQ4d")
_STAMP = struct.Struct(">d16s")
_HEADER = _FRONT.size + _STAMP.size
_EXPIRES_AT = 10

SETTLED_AFTER = 30.0
"""Seconds after which an entry of an index whose session isn't there is left over from one that has ended."""

_SAMPLE = 4
"""How many entries are looked at for each that is added, so that what is left over never piles up."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it stands in Redis, with its tie to the index of its user.

    Attributes:
        record: the record.
        indexed_until: the index names the session at least until then.
        tag: what the index keeps beside the session's key; a new one whenever the entry is written anew.
    """

    record: SessionRecord
    indexed_until: float
    tag: bytes


def new_tag(expires_at: float, now: float) -> bytes:
    """16 bytes: when the entry counts as settled, and a random part that makes the tag unique."""
    return _TIME.pack(min(expires_at, now + SETTLED_AFTER)) + os.urandom(8)


def is_settled(tag: bytes, now: float) -> bool:
    """Whether the session this tag was made for is in the store, or will not come any more."""
    return bool(_TIME.unpack_from(tag)[0] <= now)


def names_live_record(head: bytes | None, user_id: str, now: float) -> bool:
    """Whether the beginning of a value, up to ``head_end``, is that of a live record of the user."""
    if head is None or len(head) < _HEADER:
        return False
    (expires_at,) = _TIME.unpack_from(head, _EXPIRES_AT)
    return bool(expires_at > now) and head[_HEADER:] == packed_owner(user_id)


def head_end(user_id: str) -> int:
    """The position of the last byte that says whose a record of this user is."""
    return _HEADER + len(packed_owner(user_id)) - 1


def packed_time(seconds: float) -> bytes:
    """A time as the scripts compare it."""
    return _TIME.pack(seconds)


def packed_version(version: int) -> bytes:
    """A version as it stands in the header."""
    return version.to_bytes(8, "big")


def packed_stamp(indexed_until: float, tag: bytes) -> bytes:
    """The tie between a record and the index of its user."""
    return _STAMP.pack(indexed_until, tag)


def tag_of(stamp: bytes) -> bytes:
    """The tag in a stamp."""
    tag: bytes = _STAMP.unpack(stamp)[1]
    return tag


NO_INDEX = packed_stamp(math.inf, b"")
"""The stamp of a session without a user."""


def packed_owner(user_id: str | None) -> bytes:
    """A user with the length in front, so that no user is the beginning of another."""
    if user_id is None:
        return _LENGTH.pack(_NOBODY)
    name = user_id.encode()
    return _LENGTH.pack(len(name)) + name


def packed_front(record: SessionRecord) -> bytes:
    """The header up to the stamp."""
    rotated = record.successor is not None
    times = (record.expires_at, record.last_seen_at, record.created_at, record.authenticated_at)
    return _FRONT.pack(_FORMAT, rotated, record.version, *times)


def packed_back(record: SessionRecord) -> bytes:
    """Everything behind the stamp."""
    successor = (record.successor or "").encode()
    return b"".join((packed_owner(record.user_id), _LENGTH.pack(len(successor)), successor, record.data))


def stored_in(value: bytes) -> Stored:
    """The record in a value.

    Raises:
        StoreError: it was written by a newer version of this library. Ending the session instead would sign people
            out whenever two versions run side by side.
    """
    format_, rotated, version, expires_at, last_seen_at, created_at, authenticated_at = _FRONT.unpack_from(value)
    if format_ != _FORMAT:
        raise StoreError(f"A session in Redis has format {format_}, this version of the library reads {_FORMAT}.")
    indexed_until, tag = _STAMP.unpack_from(value, _FRONT.size)
    user_id, at = _text(value, _HEADER)
    successor, at = _text(value, at)
    record = SessionRecord(
        data=value[at:],
        user_id=user_id,
        version=version,
        created_at=created_at,
        authenticated_at=authenticated_at,
        last_seen_at=last_seen_at,
        expires_at=expires_at,
        successor=successor if rotated else None,
    )
    return Stored(record, indexed_until, tag)


def _text(value: bytes, at: int) -> tuple[str | None, int]:
    (length,) = _LENGTH.unpack_from(value, at)
    start = at + _LENGTH.size
    if length == _NOBODY:
        return None, start
    return value[start : start + length].decode(), start + length


def command(*words: bytes | str | int) -> bytes:
    """A command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # its stub takes one word only
    return packed


class Script:
    """A Lua script on one key, called by its hash."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def by_hash(self, key: str, *arguments: bytes | str | int) -> bytes:
        """The call, for a server that has the script."""
        return command("EVALSHA", self._hash, 1, key, *arguments)

    def in_full(self, key: str, *arguments: bytes | str | int) -> bytes:
        """The call that also teaches the server the script."""
        return command("EVAL", self._source, 1, key, *arguments)


# A change is told to whoever watches the key. Where the server's user may not, nothing fails by it (pcall).
#
# Positions in Lua count from 1: 2 rotated, 3-10 version, 11-18 expires, 19-26 last seen, 43-50 indexed until,
# 51-66 tag, 67 on whose.

CREATE = Script("""
local now, value, ttl = struct.unpack('>d', ARGV[1]), ARGV[2], ARGV[3]
local head = redis.call('GETRANGE', KEYS[1], 0, 17)
if #head == 18 and struct.unpack('>d', head, 11) > now then return 0 end
redis.call('SET', KEYS[1], value, 'PX', ttl)
return 1
""")
"""1, or 0 when a live record is there."""

REPLACE = Script("""
local now, version, owner = struct.unpack('>d', ARGV[1]), ARGV[2], ARGV[3]
local front, stamp, back, ttl = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local head = redis.call('GETRANGE', KEYS[1], 0, 65 + #owner)
if #head < 66 or struct.unpack('>d', head, 11) <= now or string.sub(head, 3, 10) ~= version then return 0 end
if stamp == '' then
    if string.sub(head, 67) ~= owner or struct.unpack('>d', front, 11) > struct.unpack('>d', head, 43) then
        return redis.call('GET', KEYS[1])
    end
    stamp = string.sub(head, 43, 66)
end
redis.call('SET', KEYS[1], front .. stamp .. back, 'PX', ttl)
redis.pcall('PUBLISH', KEYS[1], '')
return 1
""")
"""1, or 0 when gone or moved on. Without a stamp also the old value, and nothing written, when the index must know
first: the session changes hands, or lives longer than its index."""

TOUCH = Script("""
local now, seen, expires = struct.unpack('>d', ARGV[1]), ARGV[2], ARGV[3]
local stamp, ttl = ARGV[4], ARGV[5]
local head = redis.call('GETRANGE', KEYS[1], 0, 65)
if #head < 66 or string.byte(head, 2) ~= 0 or struct.unpack('>d', head, 11) <= now then return 0 end
local longer = struct.unpack('>d', expires) > struct.unpack('>d', head, 11)
local later = struct.unpack('>d', seen) > struct.unpack('>d', head, 19)
if stamp == '' then
    if struct.unpack('>d', expires) > struct.unpack('>d', head, 43) then return redis.call('GET', KEYS[1]) end
elseif string.sub(stamp, 9) ~= string.sub(head, 51, 66) then
    return redis.call('GET', KEYS[1])
else
    redis.call('SETRANGE', KEYS[1], 42, stamp)
end
if later then redis.call('SETRANGE', KEYS[1], 18, seen) end
if longer then
    redis.call('SETRANGE', KEYS[1], 10, expires)
    redis.call('PEXPIRE', KEYS[1], ttl)
end
return 1
""")
"""1, or 0 when gone or rotated away; the value, and nothing written, when the index must know first."""

DELETE = Script("""
local value = redis.call('GET', KEYS[1])
if not value or string.sub(value, 67, 66 + #ARGV[1]) ~= ARGV[1] then return false end
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', KEYS[1], '')
return value
""")
"""The value that was there, or nothing; only that user's when one is given."""

NOTE = Script(f"""
local key, tag, ttl = ARGV[1], ARGV[2], ARGV[3]
local added = redis.call('HSET', KEYS[1], key, tag)
if redis.call('PTTL', KEYS[1]) < tonumber(ttl) then redis.call('PEXPIRE', KEYS[1], ttl) end
if added == 0 then return {{}} end
return redis.call('HRANDFIELD', KEYS[1], {_SAMPLE}, 'WITHVALUES')
""")
"""Writes an entry of a user's index, and makes the index live at least that long.

Answers, where an entry was added, some entries at random with their tags: whoever adds one tidies up some."""

FORGET = Script("""
for i = 1, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
""")
"""Removes entries of a user's index that still have the tag given: one written anew meanwhile stays."""
