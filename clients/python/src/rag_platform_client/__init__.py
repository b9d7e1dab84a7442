"""Client of the RAG platform's REST API."""

from rag_platform_client.aio import AsyncClient
from rag_platform_client.answers import Answer
from rag_platform_client.client import Client
from rag_platform_client.errors import RETRIED, RagConnectionError, RagError
from rag_platform_client.retries import Retries

__all__ = ["RETRIED", "Answer", "AsyncClient", "Client", "RagConnectionError", "RagError", "Retries"]
