"""The lifecycle of a generation: forecast, build, promotion gate, promotion, rollback, retirement."""

from rag_core.generations.lifecycle import promotion
from rag_core.generations.lifecycle.answers import NO_QUESTIONS, Installation, evaluate_active
from rag_core.generations.lifecycle.asking import load_own_questions
from rag_core.generations.lifecycle.build import BuildReport, build
from rag_core.generations.lifecycle.candidates_store import accept, candidates
from rag_core.generations.lifecycle.forecast import Forecast, forecast
from rag_core.generations.lifecycle.golden import load_golden
from rag_core.generations.lifecycle.promotion import (
    PromotionResult,
    declare,
    is_successor,
    promote,
    promote_successor,
    retire,
    retire_expired,
    rollback,
)
from rag_core.generations.lifecycle.promotion_gate import CHECKS, Evaluation, evaluate, request_evaluation
