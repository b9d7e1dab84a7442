"""The life of an index generation: forecast, build behind, gate, promotion, rollback, retirement."""

from rag_core.generations.build import BuildReport, build
from rag_core.generations.checks import Check
from rag_core.generations.forecast import Forecast, forecast
from rag_core.generations.gate import Evaluation, evaluate
from rag_core.generations.lifecycle import declare, promote, retire, retire_expired, rollback
from rag_core.generations.throttle import Throttle

__all__ = [
    "BuildReport",
    "Check",
    "Evaluation",
    "Forecast",
    "Throttle",
    "build",
    "declare",
    "evaluate",
    "forecast",
    "promote",
    "retire",
    "retire_expired",
    "rollback",
]
