from . import promotion as promotion
from .answers import NO_QUESTIONS as NO_QUESTIONS, QuestionRunner as QuestionRunner, evaluate_active as evaluate_active
from .asking import load_own_questions as load_own_questions
from .build import BuildReport as BuildReport, build as build
from .forecast import Forecast as Forecast, forecast as forecast
from .golden import load_golden as load_golden
from .promotion import (
    PromotionResult as PromotionResult,
    declare as declare,
    is_successor as is_successor,
    promote as promote,
    promote_successor as promote_successor,
    retire as retire,
    retire_expired as retire_expired,
    rollback as rollback,
)
from .promotion_gate import (
    CHECKS as CHECKS,
    GateEvaluation as GateEvaluation,
    evaluate as evaluate,
    request_evaluation as request_evaluation,
)
