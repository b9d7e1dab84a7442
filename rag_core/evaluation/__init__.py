"""Judging retrieval: labelled sets, rank metrics, and how sure a difference is."""

from rag_core.evaluation.bootstrap import Interval, paired
from rag_core.evaluation.dataset import Dataset, Document, load_datasets

__all__ = ["Dataset", "Document", "Interval", "load_datasets", "paired"]
