"""Streams: the push inbox, the offsets of topics, workers and their heartbeats."""

from rag_core.streams import inbox_lanes_store, inbox_store, offset_store, store
from rag_core.streams.inbox_lanes_store import Lane, Share, Waiting
from rag_core.streams.inbox_store import Change, Receipt
from rag_core.streams.offset_store import Place
from rag_core.streams.store import DeadLetter

__all__ = [
    "Change",
    "DeadLetter",
    "Lane",
    "Place",
    "Receipt",
    "Share",
    "Waiting",
    "inbox_lanes_store",
    "inbox_store",
    "offset_store",
    "store",
]
