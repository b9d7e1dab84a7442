"""Evaluation of retrieval: labelled sets, rank metrics, confidence intervals, and ratings of answers."""

from rag_core.evaluation import grading, store
from rag_core.evaluation.dataset import Dataset, is_dataset, load_datasets
from rag_core.evaluation.grading import SATISFIED, Grade, Result, Shown, grade, retrieval
from rag_core.evaluation.metrics import CUT, Interval, Scores, ndcg, paired, recall, reciprocal_rank
from rag_core.evaluation.questions import EvaluationQuestion, load_questions
from rag_core.evaluation.store import Judgement, Rating

__all__ = [
    "CUT",
    "SATISFIED",
    "Dataset",
    "EvaluationQuestion",
    "Grade",
    "Interval",
    "Judgement",
    "Rating",
    "Result",
    "Scores",
    "Shown",
    "grade",
    "grading",
    "is_dataset",
    "load_datasets",
    "load_questions",
    "ndcg",
    "paired",
    "recall",
    "reciprocal_rank",
    "retrieval",
    "store",
]
