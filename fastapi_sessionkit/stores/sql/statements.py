"""The table of sessions, and everything that is asked of it: each a single statement, so atomic by itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Dialect,
    Double,
    Index,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Update,
    bindparam,
    case,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql

from ..base import SessionRecord

FIELDS = tuple(field.name for field in fields(SessionRecord))

Values = Mapping[str, Any]
Row = Sequence[Any]


def session_table(name: str) -> Table:
    """One row a session; the columns are the key and the fields of ``SessionRecord``."""
    return Table(
        name,
        MetaData(),
        Column("key", String(64), primary_key=True),
        Column("data", LargeBinary().with_variant(mysql.LONGBLOB, "mysql", "mariadb"), nullable=False),
        # MySQL's own collations take "Ada" for "ada".
        Column("user_id", String(255).with_variant(mysql.VARCHAR(255, collation="utf8mb4_bin"), "mysql", "mariadb")),
        Column("version", BigInteger, nullable=False),
        Column("created_at", Double, nullable=False),
        Column("authenticated_at", Double, nullable=False),
        Column("last_seen_at", Double, nullable=False),
        Column("expires_at", Double, nullable=False),
        Column("successor", String(64)),
        Index(f"ix_{name}_user_id", "user_id"),
        Index(f"ix_{name}_expires_at", "expires_at"),
    )


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, as SQLAlchemy's Core runs it and as a driver does.

    Attributes:
        core: for the Core.
        text: the same in the dialect's SQL.
        pick: the values that ``text`` takes, in its order, out of all that are at hand.
        constants: the values that the dialect itself put in.
        reads: changes nothing.
        repeatable: running it twice does, and answers, what running it once does.
    """

    core: Select[Any] | Insert | Update | Delete
    text: str
    pick: Callable[[Values], tuple[Any, ...]]
    constants: Values
    reads: bool
    repeatable: bool

    def arguments(self, values: Values) -> tuple[Any, ...]:
        """The values in the order of ``text``."""
        return self.pick({**self.constants, **values} if self.constants else values)


class Statements:
    """Every statement, compiled once for the engine's dialect.

    The values they take: ``the_key``, ``the_user``, ``now``, the ``version`` to compare, and ``new_…`` for each field
    of a record.
    """

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self._dialect = dialect
        self._table, columns = table, table.c
        self._now: BindParameter[float] = bindparam("now", type_=Double())
        self._alive = columns.expires_at > self._now
        new = {name: bindparam(f"new_{name}", type_=columns[name].type) for name in FIELDS}
        record = [columns[name] for name in FIELDS]
        this = columns.key == bindparam("the_key", type_=columns.key.type)
        same = columns.version == bindparam("version_was", type_=BigInteger())
        its_own = columns.successor.is_(None)
        seen = {name: _later_of(columns[name], new[name]) for name in ("last_seen_at", "expires_at")}

        # The caller checks whether it has expired: one value less to send with what nearly every request asks.
        self.get: Statement = self._compile(select(*record).where(this), repeatable=True)
        self.insert: Statement = self._compile(
            insert(table).values(key=bindparam("the_key", type_=columns.key.type), **new)
        )
        self.take_over: Statement = self._compile(
            update(table).where(this, columns.expires_at <= self._now).values(**new)
        )
        self.replace: Statement = self._compile(update(table).where(this, self._alive, same).values(**new))
        self.touch: Statement = self._compile(
            update(table).where(this, self._alive, its_own).values(**seen), repeatable=True
        )
        self.delete: Statement = self._compile(delete(table).where(this, self._alive))
        self.list_user: Statement = self._compile(
            select(columns.key, *record)
            .where(self._of_the_user(), self._alive, its_own)
            .order_by(columns.created_at, columns.key),
            repeatable=True,
        )
        self.purge: Statement = self._compile(self._purge())

    def delete_user(self, kept: int) -> Statement:
        """Returns ``(expires_at, successor)`` of what it deleted, where the dialect can; spares ``keep_0`` and so on."""
        columns = self._table.c
        everything = delete(self._table).where(self._of_the_user(), *self._but_kept(kept))
        if self._dialect.delete_returning:
            return self._compile(everything.returning(columns.expires_at, columns.successor))
        return self._compile(everything)

    def delete_live_of_user(self, kept: int) -> Statement:
        """Only what counts as a session: for dialects that can't say what they deleted."""
        columns = self._table.c
        live = (self._of_the_user(), self._alive, columns.successor.is_(None), *self._but_kept(kept))
        return self._compile(delete(self._table).where(*live))

    def _of_the_user(self) -> ColumnElement[bool]:
        return self._table.c.user_id == bindparam("the_user", type_=self._table.c.user_id.type)

    def _but_kept(self, kept: int) -> list[ColumnElement[bool]]:
        key = self._table.c.key
        return [key.not_in([bindparam(f"keep_{n}", type_=key.type) for n in range(kept)])] if kept else []

    def _purge(self) -> Delete:
        columns = self._table.c
        expired = columns.expires_at <= self._now
        # In order, or PostgreSQL expects so many expired rows that it reads the whole table instead of the index.
        oldest = select(columns.key).where(expired).order_by(columns.expires_at)
        batch = oldest.limit(bindparam("batch", type_=Integer()))
        if self._dialect.name == "postgresql":
            # Purges in parallel each take rows of their own instead of waiting for each other. A CTE, because
            # PostgreSQL may run a plain subquery several times over, and each run would lock a batch of its own.
            keys = select(batch.with_for_update(skip_locked=True).cte("batch").c.key)
        else:
            # A table of its own, because MySQL allows no LIMIT directly inside IN.
            keys = select(batch.subquery("batch").c.key)
        return delete(self._table).where(columns.key.in_(keys), expired)

    def _compile(self, core: Select[Any] | Insert | Update | Delete, *, repeatable: bool = False) -> Statement:
        compiled = core.compile(dialect=self._dialect)
        pick = _picker(getattr(compiled, "positiontup", None) or ())
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return Statement(core, str(compiled), pick, constants, reads=core.is_select, repeatable=repeatable)


def _picker(names: Sequence[str]) -> Callable[[Values], tuple[Any, ...]]:
    if len(names) == 1:
        only = names[0]
        return lambda values: (values[only],)
    return itemgetter(*names) if names else lambda _: ()


def _later_of(old: ColumnElement[float], new: ColumnElement[float]) -> ColumnElement[float]:
    return case((old < new, new), else_=old)
