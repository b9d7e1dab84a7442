"""Dagster components that YAML files may name."""

from rag_assets.components.document_source import DocumentSource
