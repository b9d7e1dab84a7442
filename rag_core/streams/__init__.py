"""Streams: the push inbox, topic offsets, dead letters, workers and their heartbeats."""

from rag_core.streams import inbox_lanes_store, inbox_store, notice_store, offset_store, store
from rag_core.streams.inbox_lanes_store import Lane, PendingChange, Share
from rag_core.streams.inbox_store import Change, Receipt
from rag_core.streams.notice_store import Notice
from rag_core.streams.object_events import read_event, read_message
from rag_core.streams.offset_store import PartitionOffset
from rag_core.streams.store import DeadLetter

CANARY_TENANT = "rag.canary"
"""The tenant of the documents with which the platform measures itself; they are nobody's, and no traffic."""
