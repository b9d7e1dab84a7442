"""The embedded index when another process owns the folder: its client and its wire format."""

from rag_core.index.remote import wire
from rag_core.index.remote.index import MAX_RESPONSE_BYTES, RemoteIndex, from_status
from rag_core.index.remote.wire import SECRET_KEY

__all__ = ["MAX_RESPONSE_BYTES", "SECRET_KEY", "RemoteIndex", "from_status", "wire"]
