"""`rag access`: who may see what, and why."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from rag_core.errors import Conflict, InvalidInput, RagError, Reason
from ragctl.commands._shared import actor, document_id_of, transaction
from ragctl.output import Json, emit, emit_json, message_json, note, say, table

if TYPE_CHECKING:
    from ragproto.documents.v1 import documents_pb2

app = App(name="access", help="Who may see what: explain, directories, sync, scim, remove.", help_format="plaintext")
_FAILED = {
    "CREDENTIALS": "the credentials open nothing",
    "STORED": "the document is deleted",
    "ADMITTED": "no entry of the document's ACL is one of this person",
    "NOT_REFUSED": "the document's ACL refuses this person",
    "NOT_REVOKED": "a permission ended or a deletion was accepted, and the index has not applied it yet",
    "INDEXED": "the index does not have the document, or not yet with this ACL",
}


@app.command
def explain(
    user: str,
    document: str,
    /,
    *,
    group: tuple[str, ...] = (),
    tenant: str = "default",
    reason: str = "",
    json: Json = False,
) -> None:
    """Explain why a person finds a document or does not, entry by entry. The question is kept in the audit log.

    Example: rag access explain ann handbook/travel.md --group sales

    Parameters
    ----------
    user
        Subject of the person's tokens, name of a console account, or key: and the id of an API key.
    document
        Document id, or SOURCE/LOCATOR.
    group
        Group that the person's token names; may be repeated. Default: those of the account.
    tenant
        Whose document it is.
    reason
        Why it is asked, for the audit log.
    """
    from ragctl.commands.documents import document_service
    from ragproto.documents.v1 import documents_pb2

    request = documents_pb2.ExplainAccessRequest(
        doc_id=str(document_id_of(tenant, document)), user=user, groups=group, reason=reason
    )
    with document_service(tenant, "access.write") as (stub, call):
        explained = stub.ExplainAccess(request, **call)
    if json:
        emit_json(message_json(explained))
        return
    say(f"{user} {'finds' if explained.allowed else 'does not find'} {document}")
    for check in explained.checks:
        name = _name(documents_pb2.AccessCheckKind, check.kind, "ACCESS_CHECK_KIND_")
        if not check.passed:
            since = f" (since {_at(check)})" if check.HasField("since") else ""
            say(f"  because {_FAILED.get(name, name)}{f': {check.detail}' if check.detail else ''}{since}")
    rows = [
        ["*" if entry.matches else "", whose, entry.entry, _origin(entry), _at(entry)]
        for whose, entries in ((user, explained.entries), ("document", explained.acl))
        for entry in entries
    ]
    table(("", "of", "entry", "from", "since (UTC)"), rows, empty="no ACL entry")


@app.command
def directories(*, tenant: str | None = None, json: Json = False) -> None:
    """List directories of people and groups.

    Example: rag access directories

    Parameters
    ----------
    tenant
        Only directories of this tenant.
    """
    from rag_core.governance.directories import list_directories

    with transaction() as connection:
        found = [asdict(one) for one in list_directories(connection, tenant)]
    if json:
        emit_json(found)
        return
    columns = ("tenant", "name", "kind", "people", "groups", "memberships", "held_removals", "unknown_principals")
    rows = [["" if one[name] is None else one[name] for name in columns] for one in found]
    table(tuple(name.replace("_", " ") for name in columns), rows, empty="no directory; see RAG_DIRECTORIES_DIR")


@app.command
def sync(name: str | None = None, /, *, approve: int | None = None, json: Json = False) -> None:
    """Read the directories of this installation's folder now, as the stack does when a file changes.

    Example: rag access sync

    Parameters
    ----------
    name
        Only this directory.
    approve
        Apply a reading of it that was held, when it removes at most so many people and memberships.
    """
    from rag_assets.directories import sync_directories
    from rag_core.database import open_store
    from rag_core.settings import Settings

    if approve is not None and name is None:
        raise InvalidInput(Reason.USAGE, "--approve is for one directory: rag access sync NAME --approve N")
    settings = Settings.load()
    with closing(open_store(settings)) as store:
        done = sync_directories(store, settings, only=name, approved=approve)
    failed = [one for one in done.values() if isinstance(one, RagError)]
    results = {name: one for name, one in done.items() if not isinstance(one, RagError)}
    if json:
        emit_json({name: {"changed": one.changed, "held": one.held} for name, one in results.items()})
    for name, one in results.items():
        if not json:
            say(f"{name}: {one.changed} rows changed" if not one.held else f"{name}: {one.held} removals are held")
    if failed:
        raise failed[0]
    if held := [name for name, one in results.items() if one.held]:
        raise Conflict(Reason.DIRECTORY_HELD, f"not applied: {', '.join(held)}; it would remove half or more")


@app.command
def scim(
    name: str,
    /,
    *,
    tenant: str = "default",
    subject: Literal["userName", "externalId", "emails"] | None = None,
    days: int = 365,
    json: Json = False,
) -> None:
    """Create a directory that an identity provider pushes people and groups to (SCIM 2.0), and print its token once.

    For a directory that exists, another token is made: replace the old one at the identity provider, then revoke it.

    Example: rag access scim corp --tenant acme

    Parameters
    ----------
    name
        Name of the directory: lower-case letters, digits, - and _.
    tenant
        Whose directory it is.
    subject
        Attribute of a person that is the subject of tokens. Default: userName.
    days
        Days until the token expires, 730 at most.
    """
    from rag_core.governance.directories import SubjectAttribute, create_scim_directory
    from rag_core.settings import Settings
    from ragctl.grpc_client import gateway_address

    wanted = None if subject is None else SubjectAttribute(subject)
    with transaction() as connection:
        key = create_scim_directory(connection, tenant, name, wanted, days=days, actor=actor())
    base = f"{gateway_address(Settings.load()).url}/scim/v2"
    if json:
        emit_json({"name": name, "tenant": tenant, "base_url": base, "key_id": key.key_id, "token": key.text})
        return
    note(f"{name} takes people and groups at {base} (for others: the address they have for the gateway)")
    note(f"token {key.key_id} for {days} days; it is shown only once. To end it: rag key revoke {key.key_id}")
    say(key.text)


@app.command
def remove(name: str, /, *, tenant: str = "default", json: Json = False) -> None:
    """Remove a directory with all that it holds, and revoke its tokens: nobody gets anything from it any more.

    Example: rag access remove corp --tenant acme

    Parameters
    ----------
    tenant
        Whose directory it is.
    """
    from rag_core.governance.directories import remove_directory

    with transaction() as connection:
        remove_directory(connection, tenant, name, actor=actor())
    emit({"removed": name}, f"{name} is removed; a file of it must be removed too, or it is read again", json=json)


def _origin(entry: documents_pb2.AccessEntry) -> str:
    from ragproto.documents.v1 import documents_pb2

    name = _name(documents_pb2.AccessOrigin, entry.origin, "ACCESS_ORIGIN_").lower().replace("_", " ")
    return f"{name}: {entry.detail}" if entry.detail else name


def _name(kinds: type[documents_pb2.AccessOrigin] | type[documents_pb2.AccessCheckKind], value: int, start: str) -> str:
    return str(kinds.Name(value)).removeprefix(start)


def _at(entry: documents_pb2.AccessEntry | documents_pb2.AccessCheck) -> str:
    return f"{entry.since.ToDatetime():%Y-%m-%d %H:%M}" if entry.HasField("since") else ""
