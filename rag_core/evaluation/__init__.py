"""Evaluation: labelled sets, owners' questions, grades, comparison of runs, and what users said of answers."""

from rag_core.evaluation import feedback_store, grading, question_store, run_store
from rag_core.evaluation.comparison import Change, Comparison, Direction, changes, compare
from rag_core.evaluation.dataset import Dataset, is_dataset, load_datasets
from rag_core.evaluation.feedback_store import Judgement, Rating, Saved
from rag_core.evaluation.grading import SATISFIED, UNSATISFIED, Grade, Result, Shown, grade, places_of, retrieval
from rag_core.evaluation.metrics import CUT, Interval, Scores, ndcg, paired, recall, reciprocal_rank
from rag_core.evaluation.proposals import propose_from_headings, propose_from_rating
from rag_core.evaluation.question_store import StoredQuestion, Verdict
from rag_core.evaluation.questions import (
    EvaluationQuestion,
    load_questions,
    parse_question,
    question_files,
    tenants_with_files,
)
from rag_core.evaluation.run_store import Run
