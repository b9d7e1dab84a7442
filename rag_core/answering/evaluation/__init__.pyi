from . import (
    feedback_store as feedback_store,
    grading as grading,
    question_store as question_store,
    run_store as run_store,
)
from .comparison import (
    Change as Change,
    Comparison as Comparison,
    Direction as Direction,
    changes as changes,
    compare as compare,
)
from .dataset import Dataset as Dataset, is_dataset as is_dataset, load_datasets as load_datasets
from .feedback_store import Judgement as Judgement, Rating as Rating, Saved as Saved
from .grading import (
    SATISFIED as SATISFIED,
    UNSATISFIED as UNSATISFIED,
    Grade as Grade,
    Result as Result,
    Shown as Shown,
    grade as grade,
    places_of as places_of,
    retrieval as retrieval,
)
from .metrics import (
    CUT as CUT,
    Interval as Interval,
    Scores as Scores,
    ndcg as ndcg,
    paired as paired,
    recall as recall,
    reciprocal_rank as reciprocal_rank,
)
from .proposals import propose_from_headings as propose_from_headings, propose_from_rating as propose_from_rating
from .question_store import StoredQuestion as StoredQuestion, Verdict as Verdict
from .questions import (
    EvaluationQuestion as EvaluationQuestion,
    load_questions as load_questions,
    parse_question as parse_question,
    question_files as question_files,
    tenants_with_files as tenants_with_files,
)
from .run_store import Run as Run
