"""What decides how an answer reads: the code of this room and the settings that choose among it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rag_core.ids import fingerprint
from rag_core.settings import Settings

_SECRET_OR_LIMIT = {"answer_api_key", "answer_timeout_seconds"}


def answerer_fingerprint(settings: Settings) -> str:
    """Another value means that equal passages may be answered otherwise."""
    named = [name for name in type(settings).model_fields if name.startswith(("answer", "rerank"))]
    chosen = [f"{name}={getattr(settings, name)}" for name in sorted(named) if name not in _SECRET_OR_LIMIT]
    return fingerprint(_code(), *chosen)


@cache
def _code() -> str:
    return fingerprint(*(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))))
