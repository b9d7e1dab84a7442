"""Pages of documents as pictures: who may see them; the stream worker, which has the connectors, draws them."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from query_server.handlers.documents import rules
from query_server.handlers.transactions import transact
from query_server.runtime.calls import current_call
from query_server.runtime.dependencies import LazyStore
from rag_core.content import documents, parsing, sources
from rag_core.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    RagError,
    Reason,
    Unavailable,
)
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.documents import VisibleDocument
    from rag_core.content.parsing import PageImage
    from rag_core.content.sources import Operation

MAX_PAGE: Final = 100_000
MAX_POSITION: Final = 100_000_000
_ASK_AGAIN_SECONDS: Final = 0.2
_MISSING: Final = frozenset({Reason.DOCUMENT_NOT_FOUND, Reason.PAGE_NOT_FOUND, Reason.ORIGINAL_NOT_FOUND})
_LATER: Final = frozenset({Reason.SOURCE_UNAVAILABLE, Reason.SOURCE_OPERATION_TIMEOUT, Reason.INTERNAL,
                           Reason.DATABASE_UNAVAILABLE, Reason.PARSER_UNAVAILABLE})  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page as a caller asked for it, not yet checked."""

    doc_id: str
    page: int
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page of one version of a document."""

    image: PageImage
    version: int


class PagesHandler:
    """The ACL is asked for every call, also for a page that was drawn for somebody else."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def get(self, principal: Principal, asked: PageRequest) -> PagePicture:
        """A page as a picture. Raises `NotFound` (`DOCUMENT_NOT_FOUND`, `PAGE_NOT_FOUND`, `ORIGINAL_NOT_FOUND`),
        `InvalidInput` (`PAGES_UNSUPPORTED`, and why the original cannot be read), `Conflict` (`ORIGINAL_CHANGED`),
        `Exhausted` (`OVERLOADED`), `Unavailable`, `DeadlineExceeded`."""
        doc_id = rules.check_doc_id(asked.doc_id)
        _check_numbers(asked)

        def start(connection: Connection) -> tuple[VisibleDocument, Operation]:
            found = documents.read_store.get(connection, principal.tenant, principal.acl_entries, doc_id)
            _require_pages(found)
            return found, _operation(connection, principal, found, asked)

        found, operation = await transact(self._store, start)
        return PagePicture(await self._result(principal, operation), found.version)

    async def _result(self, principal: Principal, operation: Operation) -> PageImage:
        """Wait for the picture. The stream worker says nothing of its end, so its row is read again and again."""

        def read(connection: Connection) -> Operation:
            return sources.operation_store.get(connection, operation.id, tenant=principal.tenant)

        while operation.finished_at is None:
            if current_call().remaining() < 2 * _ASK_AGAIN_SECONDS:
                raise DeadlineExceeded(Reason.DEADLINE, "the page is still being drawn; ask for it again")
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            operation = await transact(self._store, read)
        return _image(operation)


def _check_numbers(asked: PageRequest) -> None:
    if not 1 <= asked.page <= MAX_PAGE:
        raise InvalidInput(Reason.FIELD_INVALID, f"page: must be 1 to {MAX_PAGE}")
    if not 0 <= asked.start <= asked.end <= MAX_POSITION:
        raise InvalidInput(Reason.FIELD_INVALID, "start, end: must be a span as in citations")


def _require_pages(found: VisibleDocument) -> None:
    if found.media_type != "application/pdf" and not found.media_type.startswith("image/"):
        raise InvalidInput(
            Reason.PAGES_UNSUPPORTED, "documents of this format have no pages that can be shown; PDFs and images have"
        )


def _operation(connection: Connection, principal: Principal, found: VisibleDocument, asked: PageRequest) -> Operation:
    """The picture that was asked for before, or a new request for it."""
    request: dict[str, Any] = {
        "doc_id": str(found.doc_id), "version": found.version, "page": asked.page, "start": asked.start,
        "end": asked.end,
    }  # fmt: skip
    return sources.operation_store.find_page(connection, principal.tenant, request) or sources.operation_store.add(
        connection, tenant=principal.tenant, actor=principal.actor, unrestricted=False, action=sources.Action.PAGE,
        source=found.source, request=request,
    )  # fmt: skip


def _image(operation: Operation) -> PageImage:
    if operation.result is not None:
        return parsing.checked_image(operation.result, base64.b64decode(operation.result["image"]))
    reason = Reason(operation.reason)
    raise _error_class(reason)(reason, operation.message)


def _error_class(reason: Reason) -> type[RagError]:
    if reason in _MISSING:
        return NotFound
    if reason is Reason.ORIGINAL_CHANGED:
        return Conflict
    return Unavailable if reason in _LATER else InvalidInput
