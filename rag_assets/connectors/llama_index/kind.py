"""Registers the kind `llama_index`: documents of any reader of LlamaIndex that is installed."""

from __future__ import annotations

from rag_assets.connectors.kind import Card, ConnectorKind, FormField, imported
from rag_assets.connectors.llama_index.options import LlamaIndexOptions

KIND = ConnectorKind(LlamaIndexOptions, imported("rag_assets.connectors.llama_index.connector:LlamaIndexConnector"), (
    Card("llama_index", "A reader of LlamaIndex", "Documents of one of LlamaIndex's readers, each time in full.",
         "extension", "reader", (
        FormField("reader", "Reader (llama_index.readers.confluence:ConfluenceReader)", required=True),
        FormField("python", "Python that has the reader (absolute path)"),
        FormField("name", "Metadata that names a document", required=True),
        FormField("title", "Metadata that is the title", default="title"),
    )),
))  # fmt: skip
