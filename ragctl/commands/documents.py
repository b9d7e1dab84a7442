"""`rag documents`: put, get, list and delete single documents through the gateway, as any client; erase them here.

Erasure (`delete --erase`, `reapply-erasures`) works on the database, the index and the ledger of this installation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from rag_core.errors import InvalidInput, Reason
from rag_core.ingestion import erasure
from ragctl.commands._shared import actor, open_pipeline
from ragctl.output import Json, Limit, emit, emit_json, message_json, progress_bar, say, table

if TYPE_CHECKING:
    from ragproto.documents.v1 import documents_pb2

app = App(name="documents", help="Single documents: put, get, list, delete, reapply-erasures.", help_format="plaintext")
_SHOWN = ("doc_id", "source", "locator", "version", "bytes", "searchable")


@app.command
def put(
    file: str,
    /,
    *,
    locator: str | None = None,
    source: str = "",
    acl: list[str] | None = None,
    title: str = "",
    media_type: str = "",
    metadata: dict[str, str] | None = None,
    source_version: int | None = None,
    key: str = "",
    tenant: str = "default",
    json: Json = False,
) -> None:
    """Store a document, or replace it. When it returns, the change is durable; searches see it within a second.

    Example: rag documents put handbook.md --acl everyone

    Parameters
    ----------
    file
        The file, or - for standard input.
    locator
        Name of the document. Default: the file name.
    source
        Source to push into. Default: `push`.
    acl
        Who may read it: everyone, user:<subject> or group:<name>; may be repeated. Default: the present ACL; a new
        document without an ACL is not searchable.
    title
        Title. Default: taken from the document.
    media_type
        Media type, such as text/markdown. Default: detected.
    metadata
        Metadata fields, such as --metadata.team people.
    source_version
        Version that orders the changes of the document. Default: one more than the last.
    key
        Idempotency key: the same key with the same content is stored once.
    tenant
        Whose document it is.
    """
    from ragproto.documents.v1 import documents_pb2

    request = documents_pb2.PutRequest(
        source=source,
        locator=locator or (Path(file).name if file != "-" else "stdin"),
        data=_read(file),
        title=title,
        media_type=media_type,
        metadata=metadata or {},
        source_version=source_version,
        idempotency_key=key,
    )
    if acl:
        request.acl.entries.extend(acl)
    with document_service(tenant, "documents.write") as (stub, call):
        response = stub.Put(request, **call)
    _accepted(response, json)


@app.command
def get(doc_id: str, /, *, text: bool = False, tenant: str = "default", json: Json = False) -> None:
    """Show a stored document.

    Example: rag documents get 6ba7b810-9dad-51d1-80b4-00c04fd430c8 --text

    Parameters
    ----------
    doc_id
        Document id, as printed by `put` and `list`.
    text
        Also print the text.
    tenant
        Whose document it is.
    """
    from ragproto.documents.v1 import documents_pb2

    with document_service(tenant, "documents.read") as (stub, call):
        response = stub.Get(documents_pb2.GetRequest(doc_id=doc_id, include_text=text), **call)
    if json:
        emit_json(message_json(response))
        return
    table(("field", "value"), [(name, value) for name, value in message_json(response.document).items()])
    if text:
        say(response.text)


@app.command(name="list")
def list_(*, source: str = "", limit: Limit = 50, tenant: str = "default", json: Json = False) -> None:
    """List the documents that everyone in the tenant may read, ordered by id.

    Example: rag documents list --source push

    Parameters
    ----------
    source
        Only documents of this source.
    limit
        Maximum number of documents.
    tenant
        Tenant of the documents.
    """
    with document_service(tenant, "documents.read") as (stub, call):
        rows = [message_json(document) for document in _pages(stub, call, source, limit)]
    if json:
        emit_json(rows)
    else:
        table(_SHOWN, [[row.get(name, "") for name in _SHOWN] for row in rows], empty="no documents")


@app.command
def delete(doc_id: str, /, *, erase: bool = False, key: str = "", tenant: str = "default", json: Json = False) -> None:
    """Delete a pushed document, or erase any document permanently.

    Example: rag documents delete 6ba7b810-9dad-51d1-80b4-00c04fd430c8 --erase

    Parameters
    ----------
    doc_id
        Document id.
    erase
        Remove every trace at once, verify the removal and print a receipt. Runs on this machine with its operator's
        rights. Recorded in the audit log.
    key
        Idempotency key of the deletion.
    tenant
        Whose document it is.
    """
    if erase:
        _erase(doc_id, tenant, json)
        return
    from ragproto.documents.v1 import documents_pb2

    with document_service(tenant, "documents.write") as (stub, call):
        response = stub.Delete(documents_pb2.DeleteRequest(doc_id=doc_id, idempotency_key=key), **call)
    _accepted(response, json)


@app.command
def reapply_erasures(*, ledger: Path | None = None, json: Json = False) -> None:
    """Repeat the erasures of documents and tenants in the ledger after a restore from a backup.

    Example: rag documents reapply-erasures

    Parameters
    ----------
    ledger
        Ledger file. Default: `$RAG_HOME/erasures.jsonl`.
    """
    from rag_assets.tenants import outside

    with open_pipeline() as pipeline, progress_bar("erasing") as progress:
        receipts = erasure.reapply(
            pipeline,
            ledger or pipeline.settings.erasure_ledger,
            actor=actor(),
            progress=progress,
            outside=outside(pipeline.store, pipeline.settings),
        )
    emit([asdict(receipt) for receipt in receipts], f"{len(receipts)} erasures applied again", json=json)


def _erase(doc_id: str, tenant: str, json: bool) -> None:
    import uuid

    try:
        wanted = uuid.UUID(doc_id)
    except ValueError:
        raise InvalidInput(Reason.ID_CHARS, "doc_id: a UUID such as 6ba7b810-9dad-51d1-80b4-00c04fd430c8") from None
    with open_pipeline() as pipeline:
        receipt = erasure.erase(pipeline, tenant, wanted, actor=actor())
    if json:
        emit_json(asdict(receipt))
    else:
        table(("erased", ""), [(name, _counted(value)) for name, value in asdict(receipt).items()])


def _counted(value: object) -> object:
    return ", ".join(f"{name} {count}" for name, count in value.items()) if isinstance(value, dict) else value


def _pages(stub: Any, call: dict[str, Any], source: str, limit: int) -> Iterator[documents_pb2.Document]:
    from ragproto.documents.v1 import documents_pb2

    token = ""
    while limit > 0:
        size = min(limit, 1000)
        page = stub.List(documents_pb2.ListRequest(source=source, page_size=size, page_token=token), **call)
        yield from page.documents
        limit, token = limit - len(page.documents), page.next_page_token
        if not token:
            return


def _accepted(response: Any, json: bool) -> None:
    if json:
        emit_json(message_json(response))
        return
    again = ", as before" if response.repeated else ""
    say(f"{response.doc_id}: accepted as version {response.source_version}{again}")


@contextmanager
def document_service(tenant: str, scope: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The documents' service through the gateway, and the arguments of a call with this scope."""
    from ragctl.call_settings import load_call_settings
    from ragctl.grpc_client import open_gateway, typed_errors
    from ragctl.tokens import mint_token
    from ragproto.documents.v1 import documents_pb2_grpc

    settings = load_call_settings()
    token = mint_token(settings, subject="developer", tenant=tenant, scopes=(scope,), lifetime=300)
    call = {"metadata": [("authorization", f"Bearer {token}")], "timeout": settings.max_deadline_seconds}
    with open_gateway(settings) as channel, typed_errors():
        yield documents_pb2_grpc.DocumentServiceStub(channel), call


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InvalidInput(Reason.UNREADABLE, f"{file}: {error.strerror}") from None
