"""What a rotated id may do in its grace: no more than before the move, and no more than the session still may."""

from typing import Any

from .codec import M, SessionCodec
from .parts import fields_of


def restricted(codec: SessionCodec[M], session: M, before: bytes) -> M | None:
    """The session with the roles and permissions alone that it had before as well.

    ``None`` where the model can't say that, for it asks for a role that only one of the two has.
    """
    try:
        had = codec.read(before)
        return codec.patched(session, _common(fields_of(session), fields_of(had)))
    except Exception:  # noqa: BLE001 - whatever a validator of the application's raises at it, nobody is let in
        return None


def _common(now: dict[str, Any], had: dict[str, Any]) -> dict[str, Any]:
    roles = {had.get("role"), *(had.get("roles") or ())}
    permissions = set(had.get("permissions") or ())
    common: dict[str, Any] = {}
    if now.get("role") not in roles:
        common["role"] = None
    if now.get("roles"):
        common["roles"] = tuple(role for role in now["roles"] if role in roles)
    if now.get("permissions"):
        common["permissions"] = tuple(each for each in now["permissions"] if each in permissions)
    return {name: value for name, value in common.items() if name in now}
