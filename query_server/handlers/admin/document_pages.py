"""Page tokens of lists of documents: where the next page begins. They open nothing, so they are not signed.

Tenant and filters are always those of the call; a token is bound to them, so that it is not used for another list.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from query_server.handlers.admin.rules import LARGEST_ID
from query_server.handlers.paging import MAX_TOKEN_CHARS, invalid_token
from query_server.handlers.query.validation import check_storable
from rag_core.errors import InvalidInput

if TYPE_CHECKING:
    from rag_core.documents import DocumentQuery, ListPosition

_BINDING_BYTES = 16
_MAX_CHARS = 16 * MAX_TOKEN_CHARS
"""A locator has up to 1024 characters."""


def issue_token(tenant: str, wanted: DocumentQuery, place: ListPosition | None) -> str:
    """A token for the page that begins after `place`; empty at the end."""
    if place is None:
        return ""
    key: object = place.key.isoformat() if isinstance(place.key, datetime) else place.key
    content = json.dumps([key, str(place.doc_id or ""), place.entry]).encode()
    return base64.urlsafe_b64encode(_binding(tenant, wanted, content) + content).rstrip(b"=").decode("ascii")


def read_token(tenant: str, wanted: DocumentQuery, token: str) -> ListPosition | None:
    """Raises `InvalidInput` (`PAGE_TOKEN_INVALID`) for a token of another list, or one that was changed."""
    if not token:
        return None
    try:
        if len(token) > _MAX_CHARS:
            raise ValueError
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        binding, content = raw[:_BINDING_BYTES], raw[_BINDING_BYTES:]
        if binding != _binding(tenant, wanted, content):
            raise ValueError
        return _place(wanted, *json.loads(content))
    except (InvalidInput, ValueError, TypeError, binascii.Error, OverflowError, RecursionError):
        raise invalid_token() from None


def _place(wanted: DocumentQuery, key: object, doc_id: object, entry: object) -> ListPosition:
    from rag_core.documents import DocumentOrder, ListPosition

    if key is None:
        if not isinstance(entry, int) or not 0 < entry <= LARGEST_ID:
            raise ValueError
        return ListPosition(None, entry=entry)
    after = uuid.UUID(str(doc_id))
    if wanted.order is DocumentOrder.LARGEST:
        if not isinstance(key, int) or not 0 <= key <= LARGEST_ID:
            raise ValueError
        return ListPosition(key, after)
    if not isinstance(key, str):
        raise TypeError
    if wanted.order is DocumentOrder.LOCATOR:
        check_storable(key, "page_token")
        return ListPosition(key, after)
    return ListPosition(datetime.fromisoformat(key).astimezone(UTC), after)


def _binding(tenant: str, wanted: DocumentQuery, content: bytes) -> bytes:
    said = repr((tenant, wanted)).encode("utf-8", "surrogatepass") + b"\0" + content
    return hashlib.blake2b(said, digest_size=_BINDING_BYTES, person=b"rag-document").digest()
