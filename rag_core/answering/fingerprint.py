"""Fingerprint of what decides how an answer reads: the code of this package and the settings that select from it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rag_core.answering.model import read_style
from rag_core.ids import fingerprint
from rag_core.settings import Settings

_PREFIXES = ("answer", "rerank")
_WITHOUT_EFFECT = (
    "_api_key", "_seconds", "_price_completion", "_currency", "_cache_entries", "_request_texts",
    "_prompt", "_prompt_file",
)  # fmt: skip
"""Ends of the names of keys, limits and prices, and of the prompt, whose text counts wherever it stands."""


def answerer_fingerprint(settings: Settings) -> str:
    """Another value means that equal passages may be answered otherwise.

    Raises `ConfigError` for a prompt file that is not one.
    """
    named = [name for name in sorted(type(settings).model_fields) if name.startswith(_PREFIXES)]
    chosen = [f"{name}={getattr(settings, name)}" for name in named if not name.endswith(_WITHOUT_EFFECT)]
    return fingerprint(_code(), *chosen, read_style(settings))


@cache
def _code() -> str:
    folder = Path(__file__).parent
    files = [path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] != "evaluation"]
    return fingerprint(*(path.read_text("utf-8") for path in sorted(files)))
