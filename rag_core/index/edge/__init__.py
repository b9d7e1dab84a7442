"""Qdrant Edge: the index engine in this process, over a folder that one process owns."""

from rag_core.index.edge.files import SPACE_RESERVE
from rag_core.index.edge.index import EdgeIndex
from rag_core.index.edge.optimizer import background_optimizer
