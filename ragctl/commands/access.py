"""`rag access`: who may see what, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from ragctl.output import Json, emit_json, message_json, say, table

if TYPE_CHECKING:
    from ragproto.documents.v1 import documents_pb2

app = App(name="access", help="Who may see what: explain.", help_format="plaintext")
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

    request = documents_pb2.ExplainAccessRequest(doc_id=_id(tenant, document), user=user, groups=group, reason=reason)
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


def _id(tenant: str, document: str) -> str:
    """The id of a document that is named by its place."""
    from rag_core.ids import document_id

    source, slash, locator = document.partition("/")
    return str(document_id(tenant, source, locator)) if slash else document


def _origin(entry: documents_pb2.AccessEntry) -> str:
    from ragproto.documents.v1 import documents_pb2

    name = _name(documents_pb2.AccessOrigin, entry.origin, "ACCESS_ORIGIN_").lower().replace("_", " ")
    return f"{name}: {entry.detail}" if entry.detail else name


def _name(kinds: type[documents_pb2.AccessOrigin] | type[documents_pb2.AccessCheckKind], value: int, start: str) -> str:
    return str(kinds.Name(value)).removeprefix(start)


def _at(entry: documents_pb2.AccessEntry | documents_pb2.AccessCheck) -> str:
    return f"{entry.since.ToDatetime():%Y-%m-%d %H:%M}" if entry.HasField("since") else ""
