"""The commands. Each ends with 0, with 1 where it found something, or with 2 where it could not be asked like that."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperGroup

from ..audit import Change, Explanation, Operation, Person, Step
from ..audit.acceptance import accepted_findings, reason_for, unused
from ..audit.operations import in_words
from ..errors import SessionKitError, StoreUnavailable
from ..kit import SessionKit
from ..manager import ActiveSession
from ..stores.base import StoreError
from .discovery import Found, UsageError, find
from .formats import (
    change_data,
    change_text,
    explanation_data,
    finding_data,
    github_lines,
    operation_data,
    roles_named,
    row_data,
    sarif,
)
from .output import complain, print_json, print_table, say, without_log, working
from .pages import matrix_page, routes_page

T = TypeVar("T")

# What Typer, or Click below older ones, raises for arguments that don't fit. It has no public name of its own.
_Misused: type[Exception] = typer.BadParameter.__mro__[1]


class OneLine(TyperGroup):
    """Says in one line what is wrong with the arguments."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """See Typer's; reads the arguments before the command's name."""
        with _in_one_line():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """See Typer's; reads those of the command, and runs it."""
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except _Misused as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        message = str(error.format_message()).replace("Value error, ", "").rstrip(".")  # type: ignore[attr-defined]
        command = getattr(getattr(error, "ctx", None), "command_path", "sessionkit")
        _give_up(f"{message}. See {command} --help")


app: typer.Typer = typer.Typer(
    cls=OneLine,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Who may do what in a FastAPI application, and its sessions. APP is main:app, main.py, or what pyproject.toml says.",
)


class Format(StrEnum):
    """How changes are printed."""

    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


App = Annotated[
    str | None, typer.Argument(metavar="[APP]", help="main:app, main.py or main.py:app", show_default=False)
]
Kit = Annotated[str | None, typer.Option("--kit", help="The name of the kit, where there are several.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page that needs no other file.")]
As = Annotated[
    list[str] | None,
    typer.Option(
        "--as", metavar="NAME=ATOM,ATOM", help="A person: admin=role:admin,user:42 or role:editor; anonymous is nobody."
    ),
]


@app.command()
def routes(where: App = None, *, json: Json = False, html: Html = None, kit: Kit = None) -> None:
    """Each operation with what it needs, and which rule says so."""
    with asked():
        operations = _operations(find(where, kit))
    if html is not None:
        _write(html, routes_page(operations))
    if json:
        print_json([operation_data(each) for each in operations])
    elif html is None:
        rows = [(each.method, each.path, each.needs, each.rule or "", _who(each)) for each in operations]
        print_table(("METHOD", "PATH", "NEEDS", "RULE", "SAID BY"), rows)


@app.command()
def matrix(
    where: App = None, *, people: As = None, json: Json = False, html: Html = None, kit: Kit = None
) -> None:  # fmt: skip
    """Each operation and each person: allowed, refused, or on what it depends."""
    with asked():
        audit = find(where, kit).audit
        with working("Looking at the operations"):
            persons = [
                Person.read(each)
                for each in people or ["anonymous", "somebody=signed_in", *roles_named(audit.operations)]
            ]
            table = audit.matrix(persons)
        names = [person.name for person in persons]
        if len(set(names)) < len(names):
            raise UsageError("Two people have one name: write --as NAME=ATOM,ATOM with a name for each")
    if html is not None:
        _write(html, matrix_page(table, persons))
    if json:
        print_json([row_data(each) for each in table])
    elif html is None:
        rows = [
            (
                row.operation.method,
                row.operation.path,
                *(row.access[name].access for name in names),
                row.operation.needs,
            )
            for row in table
        ]
        print_table(("METHOD", "PATH", *names, "NEEDS"), rows)


@app.command()
def lock(
    where: App = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Compare instead of writing.")] = False,
    file: Annotated[Path, typer.Option("--file", help="The lock.")] = Path("access.lock"),
    form: Annotated[Format, typer.Option("--format", help="How changes are printed.")] = Format.text,
    json: Json = False,
    kit: Kit = None,
) -> None:
    """Write access.lock, or compare it with the application."""
    with asked():
        audit = find(where, kit).audit
        before = _read(file) if check else ""
        with working("Looking at the operations"):
            changes = audit.compare(before) if check else []
            text = audit.lock()
    if check:
        _print_changes([each for each in changes if each.label != "equal"], Format.json if json else form, file, before)
        raise typer.Exit(int(not all(each.is_harmless for each in changes)))
    _write(file, text)


@app.command()
def explain(
    question: Annotated[
        list[str], typer.Argument(metavar="[APP] METHOD PATH", help="As in: main:app GET /admin/users")
    ],
    *,
    person: Annotated[str, typer.Option("--as", metavar="NAME=ATOM,ATOM", help="Who asks.")] = "anonymous",
    json: Json = False,
    kit: Kit = None,
) -> None:
    """Why somebody may, or may not, call a method on a path: the rules tried, the one that decided, what was missing."""
    with asked():
        where, method, path = _with_app(question, 2, "sessionkit explain main:app GET /admin/users --as role:editor")
        if not path.startswith("/"):
            raise UsageError(f"A path starts with a slash, and {path!r} does not")
        found = find(where, kit).audit.explain(method, path, person)
    if json:
        print_json(explanation_data(found))
    else:
        for line in _explained(found):
            say(line)


@app.command()
def check(where: App = None, *, json: Json = False, kit: Kit = None) -> None:
    """What is probably not as it was meant, with what to do. Accepted findings stand in pyproject.toml."""
    with asked():
        accepted = accepted_findings()
        audit = find(where, kit).audit
        with working("Looking at the application"):
            findings = audit.findings
    reasons = {each: reason_for(each, accepted) for each in findings}
    left = [each for each, reason in reasons.items() if reason is None]
    if json:
        print_json([finding_data(each, reason) for each, reason in reasons.items()])
    else:
        for each in left:
            say(f"{each.code}  {each.at}\n    {each.text}.\n    {each.advice}.")
        say(f"{_count(len(left), 'finding')}, {len(findings) - len(left)} accepted")
    for entry in unused(accepted, findings):
        complain(f"Accepted and not found any more: {entry.code} at {entry.at}")
    raise typer.Exit(int(bool(left)))


@app.command()
def secret() -> None:
    """Print a new secret key."""
    say(secrets.token_urlsafe(48))


@app.command()
def purge(where: App = None, *, json: Json = False, kit: Kit = None) -> None:
    """Drop expired sessions from the store."""
    with asked():
        found = find(where, kit).kit
        with working("Purging"), without_log():
            count = _result(found, found.sessions.purge)
    if json:
        print_json({"purged": count})
    else:
        say(f"Purged {_count(count, 'expired session')}")


@app.command()
def sessions(
    question: Annotated[list[str], typer.Argument(metavar="[APP] USER", help="As in: main:app 42")],
    *,
    revoke: Annotated[
        list[str] | None, typer.Option("--revoke", metavar="HANDLE", help="End this session; all ends every one.")
    ] = None,
    json: Json = False,
    kit: Kit = None,
) -> None:
    """The sessions of a user; with --revoke, end some. Handles open nothing."""
    with asked():
        where, user = _with_app(question, 1, "sessionkit sessions main:app 42")
        found = find(where, kit).kit
        with working("Asking the store"), without_log():
            live = _result(found, lambda: _listed(found, user, revoke or []))
    if json:
        print_json([_session_data(each) for each in live])
    elif not live:
        say("No session")
    else:
        rows = [(each.handle[:12], *(f"{time:%Y-%m-%d %H:%M}" for time in _times(each))) for each in live]
        print_table(("HANDLE", "SIGNED IN", "LAST SEEN", "ENDS"), rows)


@contextmanager
def asked() -> Iterator[None]:
    """End with one line and 2 where a question can't be answered."""
    try:
        yield
    except StoreUnavailable as error:
        _give_up(f"The store can't be asked: {_reason(error)}")
    except (UsageError, SessionKitError) as error:
        _give_up(str(getattr(error, "detail", None) or error))


def _reason(error: StoreUnavailable) -> str:
    """Why a store failed; of a driver's error only the kind, for its text may hold keys and values."""
    cause = error.__cause__ or error
    return (str(cause) if isinstance(cause, StoreError | OSError) else "") or type(cause).__name__


def _give_up(text: str) -> NoReturn:
    complain(f"sessionkit: {' '.join(text.split())}")
    raise typer.Exit(2)


def _with_app(given: list[str], count: int, example: str) -> tuple[Any, ...]:
    """What was given, with ``None`` for the application where that is left out."""
    if len(given) not in {count, count + 1}:
        raise UsageError(f"Write it like this: {example}")
    return tuple(given) if len(given) > count else (None, *given)


def _operations(found: Found) -> list[Operation]:
    with working("Looking at the operations"):
        return found.audit.operations


def _who(operation: Operation) -> str:
    return ", ".join(operation.said_by) or ("@public" if operation.is_marked else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        _give_up(f"{file} can't be written: {error.strerror}")
    complain(f"Wrote {file}")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(
            f"{file} can't be read ({reason}): write it with sessionkit lock, and keep it in the repository"
        ) from None


def _print_changes(changes: list[Change], form: Format, file: Path, lock: str) -> None:
    if form is Format.json:
        print_json([change_data(each) for each in changes])
    elif form is Format.sarif:
        print_json(sarif([each for each in changes if not each.is_harmless], file.as_posix(), lock))
    elif form is Format.github:
        for line in github_lines([each for each in changes if not each.is_harmless], file.as_posix(), lock):
            say(line)
    elif changes:
        print_table(
            ("", "METHOD", "PATH", ""), [(each.label, each.method, each.path, change_text(each)) for each in changes]
        )
    else:
        say("Nothing changed")


def _explained(found: Explanation) -> Iterator[str]:
    answer = {True: "allowed", False: "refused", None: "it depends"}[found.allowed]
    served = "nothing answers there" if found.operation is None else f"{found.operation.method} {found.operation.path}"
    yield f"{found.method} {found.path} as {found.person.name}: {answer}  ({served})"
    for step in found.steps:
        yield f"  {step.by}: {step.reason} needs {in_words(step.requirement)}: {_outcome(step)}"
        yield from (f"    {tried.rule}: {tried.outcome}" for tried in step.tried)
    if found.missing:
        yield f"  {'missing' if found.allowed is False else 'depends'}: {' and '.join(found.missing)}"
    if found.decided_by is not None:
        yield f"  decided by: {found.decided_by.by}, {found.decided_by.reason}"


def _outcome(step: Step) -> str:
    return {True: "fulfilled", False: "refused", None: "it depends"}[step.verdict.holds]


def _result(kit: SessionKit[Any], ask: Callable[[], Awaitable[T]]) -> T:
    """What a question to the store gives; the store is closed afterwards."""

    async def ask_and_close() -> T:
        try:
            return await ask()
        finally:
            await kit.backend.aclose()

    return asyncio.run(ask_and_close())


async def _listed(kit: SessionKit[Any], user: str, handles: list[str]) -> list[ActiveSession[Any]]:
    """The sessions of a user, after those that are named have ended."""
    live = await kit.sessions.list(user)
    if "all" in handles:
        complain(f"Ended {_count(await kit.sessions.revoke_user(user), 'session')}")
        return []
    for handle in handles:
        named = [each.handle for each in live if handle and each.handle.startswith(handle)]
        if len(named) != 1:
            raise UsageError(
                f"{'Several sessions' if named else 'No session'} of {user} with a handle that begins with {handle}"
            )
        await kit.sessions.revoke(named[0], user_id=user)
    if handles:
        complain(f"Ended {_count(len(handles), 'session')}")
        live = await kit.sessions.list(user)
    return live


def _times(session: ActiveSession[Any]) -> tuple[Any, ...]:
    return session.created_at, session.last_seen_at, session.expires_at


def _session_data(session: ActiveSession[Any]) -> dict[str, str]:
    names = ("created_at", "last_seen_at", "expires_at")
    times = {name: time.isoformat() for name, time in zip(names, _times(session), strict=True)}
    return {"handle": session.handle, **times}
