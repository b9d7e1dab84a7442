"""Evaluation of retrieval: labelled sets, rank metrics, confidence intervals, and ratings of answers."""

from rag_core.evaluation import store
from rag_core.evaluation.dataset import Dataset, is_dataset, load_datasets
from rag_core.evaluation.metrics import CUT, Interval, Scores, ndcg, paired, recall, reciprocal_rank
from rag_core.evaluation.store import Judgement, Rating

__all__ = [
    "CUT",
    "Dataset",
    "Interval",
    "Judgement",
    "Rating",
    "Scores",
    "is_dataset",
    "load_datasets",
    "ndcg",
    "paired",
    "recall",
    "reciprocal_rank",
    "store",
]
