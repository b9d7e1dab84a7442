"""`rag curate`: what editors decide for a question."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval import curation
from ragctl.commands._shared import actor, document_id_of, transaction
from ragctl.output import Json, emit, emit_json, table

if TYPE_CHECKING:
    from rag_core.retrieval.curation import Curation, CurationDraft

app = App(
    name="curate", help="Answer a question by hand, or pin, boost or hide a document for it.", help_format="plaintext"
)
_ACTIONS = ("answer", "pin", "boost", "hide")
Several = Annotated[tuple[str, ...], Parameter(negative="")]


@app.command
def add(
    *question: str,
    answer: str = "",
    pin: str = "",
    boost: str = "",
    hide: str = "",
    acl: Several = (),
    owner: str = "",
    until: datetime | None = None,
    tenant: str = "default",
    reason: str = "",
    json: Json = False,
) -> None:
    """Decide for a question: one of --answer, --pin, --boost and --hide. Recorded in the audit log.

    It counts within seconds, for these wordings and those close to them: give the usual ones.

    Example: rag curate add "How long is parental leave?" --answer "16 weeks, see the handbook." --until 2027-06-30

    Parameters
    ----------
    question
        The question, and further ways to ask it.
    answer
        The answer to give, in Markdown.
    pin
        The document to show first: its id, or SOURCE/LOCATOR.
    boost
        The document to prefer to others that are as relevant, likewise.
    hide
        The document to leave out, likewise.
    acl
        For whom it counts, as the ACL of a document (`user:ann`, `group:hr`); may be repeated. Default: everyone.
    owner
        Who answers for it. Default: you.
    until
        It counts until then (UTC). Default: until it is removed.
    tenant
        Whose questions.
    reason
        Why, for the audit log.
    """
    named = {name: text for name, text in zip(_ACTIONS, (answer, pin, boost, hide), strict=True) if text}
    if len(named) != 1:
        raise InvalidInput(Reason.USAGE, "give one of --answer, --pin, --boost and --hide")
    [(action, text)] = named.items()
    draft = _draft(question, action, text, tenant, acl, owner, until)
    with transaction() as connection:
        curation.store.require_document(connection, tenant, draft, None)
        made = curation.store.create(connection, tenant, draft, actor=actor(), why=reason)
    emit(_shown(made), f"curation {made.id}: {_what(made)} for “{made.questions[0]}”, {_whom(made)}", json=json)


@app.command(name="list")
def list_(*, tenant: str = "default", json: Json = False) -> None:
    """List what editors decided, newest first.

    Example: rag curate list
    """
    with transaction() as connection:
        found = curation.store.listed(connection, tenant, limit=curation.MAX_PER_TENANT)
    if json:
        emit_json([_shown(one) for one in found])
        return
    now = datetime.now(UTC)
    rows: list[list[object]] = [
        [one.id, one.questions[0], len(one.questions), _what(one), " ".join(one.acl), one.owner, _end(one, now)]
        for one in found
    ]
    columns = ("curation", "question", "wordings", "decided", "for", "owner", "ends (UTC)")
    table(columns, rows, empty="nothing is curated; `rag curate add QUESTION --answer TEXT` answers a question")


@app.command
def remove(number: int, /, *, tenant: str = "default", reason: str = "", json: Json = False) -> None:
    """Remove what was decided for a question. Recorded in the audit log.

    Example: rag curate remove 3

    Parameters
    ----------
    number
        Number of the curation (`rag curate list`).
    tenant
        Whose questions.
    reason
        Why, for the audit log.
    """
    with transaction() as connection:
        found = curation.store.get(connection, tenant, number)
        curation.store.remove(connection, found, actor=actor(), why=reason)
    emit({"removed": number}, f"curation {number}: removed", json=json)


def _draft(
    questions: tuple[str, ...],
    action: str,
    text: str,
    tenant: str,
    acl: tuple[str, ...],
    owner: str,
    until: datetime | None,
) -> CurationDraft:
    writes = action == curation.CurationAction.ANSWER
    end = until.replace(tzinfo=UTC) if until is not None and until.tzinfo is None else until
    document = None if writes else document_id_of(tenant, text)
    wanted = curation.CurationDraft(
        questions, curation.CurationAction(action), text if writes else "", document, acl, owner, end
    )
    return curation.check_draft(wanted, editor=actor())


def _what(one: Curation) -> str:
    if one.doc_id is None:
        return "answered"
    place = f"{one.source}/{one.locator}" if one.source else f"{one.doc_id} (not there)"
    return f"{one.action}: {place}"


def _whom(one: Curation) -> str:
    end = f", until {one.ends_at:%F %R} UTC" if one.ends_at else ""
    return f"for {' '.join(one.acl)}, owner {one.owner}{end}"


def _end(one: Curation, now: datetime) -> str:
    if one.ends_at is None:
        return ""
    return f"{one.ends_at:%F %R}" + (" (ended)" if one.ends_at <= now else "")


def _shown(one: Curation) -> dict[str, Any]:
    return {
        "curation": one.id,
        "tenant": one.tenant,
        "questions": list(one.questions),
        "action": one.action.value,
        "answer": one.answer,
        "doc_id": str(one.doc_id) if one.doc_id else "",
        "source": one.source,
        "locator": one.locator,
        "acl": list(one.acl),
        "owner": one.owner,
        "ends_at": one.ends_at,
        "changed_by": one.changed_by,
        "changed_at": one.changed_at,
    }
