"""Embedding: the embedder interface and its implementations, each loaded only when it is opened."""

from rag_core.embedding import store
from rag_core.embedding.base import Embedder, TokenCounter, Vectors
from rag_core.embedding.opening import open_embedder, open_token_counter, prepare_model, texts_per_run
from rag_core.embedding.store import PendingText, TextCounts, decode
