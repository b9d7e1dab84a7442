"""The client and wire format of an embedded index that another process owns."""

from rag_core.index.remote import wire
from rag_core.index.remote.index import MAX_RESPONSE_BYTES, RemoteIndex, from_status
from rag_core.index.remote.wire import SECRET_KEY
