"""`rag index golden`: ratings of answers that can become golden questions."""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import App, Parameter

from ragctl.output import Json, emit_json, say, table

app = App(
    name="golden",
    help="Golden questions from rated answers: list the ratings, accept one into a golden set.",
    help_format="plaintext",
)
_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHOWN = 60


@app.command(name="list")
def list_(*, limit: int = 50, json: Json = False) -> None:
    """List rated answers, newest first, with their cited documents that are still stored.

    Example: rag index golden list

    Parameters
    ----------
    limit
        Maximum number of ratings.
    """
    from rag_core.database import open_store
    from rag_core.generations.lifecycle import candidates
    from rag_core.settings import Settings

    store = open_store(Settings.load())
    try:
        found = candidates(store, limit)
    finally:
        store.close()
    if json:
        emit_json([{name: getattr(one, name) for name in one.__slots__} for one in found])
        return
    rows = [
        (one.id, "good" if one.good else "bad", one.question[:_SHOWN], ", ".join(one.documents) or "-", one.actor)
        for one in found
    ]
    table(("id", "rating", "question", "documents", "by"), rows, empty="no answer has been rated yet")


@app.command
def accept(
    rating: int,
    /,
    *,
    to: str = "console",
    document: Annotated[list[str] | None, Parameter(negative="")] = None,
    json: Json = False,
) -> None:
    """Add a rated answer to a golden set; the promotion gate asks its question from then on. Safe to repeat.

    Example: rag index golden accept 17 --document handbook/leave.md

    Parameters
    ----------
    rating
        Id of the rating, as listed by `list`.
    to
        Golden set: a folder in the golden directory (RAG_GOLDEN_DIR).
    document
        Document with the right answer (source/locator), instead of the cited ones; may be repeated. Required for an
        answer that was rated bad.
    """
    from rag_core.database import open_store
    from rag_core.errors import InvalidInput, Reason
    from rag_core.generations.lifecycle import accept as take
    from rag_core.settings import Settings

    if not _SET.fullmatch(to):
        raise InvalidInput(Reason.FIELD_INVALID, "--to: letters, digits, dot, dash and underscore, 64 at most")
    settings = Settings.load()
    store = open_store(settings)
    try:
        added = take(store, settings.effective_golden_dir / to, rating, document or ())
    finally:
        store.close()
    if json:
        emit_json({"rating": rating, "set": to, "added": added})
    else:
        say(f"judgement {rating}: {'now' if added else 'already'} in the golden set {to}")
