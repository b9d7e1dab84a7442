"""`rag tenant`: tenants as a unit, and where their text may go. On the platform's machine, with its database."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from rag_core import database
from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.governance import tenants
from rag_core.ingestion import erasure
from ragctl.commands._shared import actor, confirmed, transaction
from ragctl.output import Json, emit, emit_json, note, progress_bar, table

if TYPE_CHECKING:
    from rag_core.governance.tenants import Tenant
    from rag_core.http_client import EgressPolicy

app = App(
    name="tenant",
    help="Tenants: create, list, suspend, resume, export, erase, and where their text may go.",
    help_format="plaintext",
)
_NOTHING = "none"
_DEFAULT = "default"


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """List the tenants with their state, what they hold, and the model endpoints their text may go to.

    Example: rag tenant list
    """
    from rag_core.settings import Settings

    with transaction() as connection:
        directory = tenants.store.directory(connection, Settings.load())
        rows = [(one, directory.policy(one.name)) for one in tenants.store.listed(connection)]
    if json:
        emit_json([_plain(one, policy) for one, policy in rows])
        return
    cells = [[one.name, str(one.state), one.sources, one.documents, _uses(policy), one.reason] for one, policy in rows]
    columns = ("tenant", "state", "sources", "documents", "text may go to", "reason")
    table(columns, cells, empty="no tenant yet; the first source or account makes one")


@app.command
def create(
    name: str,
    /,
    *,
    egress: Annotated[list[str] | None, Parameter(negative="")] = None,
    reason: str = "",
    json: Json = False,
) -> None:
    """Create a tenant. Accounts, keys and sources name it from then on.

    Example: rag tenant create acme --egress embed

    Parameters
    ----------
    egress
        Model endpoints that its text may go to: answer, rerank, embed; may be repeated. none: to none. Default: what
        RAG_EGRESS_DEFAULT says.
    reason
        Why, for the audit log.
    """
    with transaction() as connection:
        made = tenants.store.create(connection, name, actor=actor(), egress=_given(egress), why=reason)
    _done(made, f"tenant {name} is created", json=json)


@app.command
def suspend(name: str, /, *, reason: str = "", json: Json = False) -> None:
    """Suspend a tenant: within a second its tokens, keys and sessions are refused. Its sources make no runs.

    Nothing is lost: what it pushed before waits. Example: rag tenant suspend acme --reason "contract ended"

    Parameters
    ----------
    reason
        Why, for the audit log and for who looks at the tenant.
    """
    with transaction() as connection:
        changed = tenants.store.suspend(connection, name, actor=actor(), why=reason)
    _done(changed, f"tenant {name} is suspended", json=json)


@app.command
def resume(name: str, /, *, reason: str = "", json: Json = False) -> None:
    """End the suspension of a tenant.

    Example: rag tenant resume acme

    Parameters
    ----------
    reason
        Why, for the audit log.
    """
    with transaction() as connection:
        changed = tenants.store.resume(connection, name, actor=actor(), why=reason)
    _done(changed, f"tenant {name} is active", json=json)


@app.command
def egress(
    name: str,
    /,
    *,
    allow: Annotated[list[str] | None, Parameter(negative="")] = None,
    source: Annotated[list[str] | None, Parameter(negative="")] = None,
    reason: str = "",
    json: Json = False,
) -> None:
    """Show where the text of a tenant may go, or set it. What is not allowed is refused before it leaves.

    Example: rag tenant egress acme --allow answer --allow embed --source hr=embed

    Parameters
    ----------
    allow
        Model endpoints that its text may go to: answer, rerank, embed; may be repeated. none: to none. default: what
        RAG_EGRESS_DEFAULT says.
    source
        NAME=ENDPOINTS of a source with less, with commas, such as hr=embed or hr=none; may be repeated. Replaces what
        was set before.
    reason
        Why, for the audit log.
    """
    from rag_core.settings import Settings

    settings = Settings.load()
    with transaction() as connection:
        tenant = tenants.store.get(connection, name)
        if allow is not None or source is not None:
            uses = [str(use) for use in tenant.egress] if allow is None and tenant.egress is not None else _given(allow)
            sources = (
                {one: [str(use) for use in given] for one, given in tenant.egress_sources.items()}
                if source is None
                else dict(map(_source, source))
            )
            tenant = tenants.store.set_egress(connection, name, actor=actor(), egress=uses, sources=sources, why=reason)
        policy = tenants.store.directory(connection, settings).policy(name)
        files = tenants.store.narrowed_by_files(connection).get(name, frozenset())
    if json:
        emit_json(_plain(tenant, policy))
        return
    origin = "RAG_EGRESS_DEFAULT" if tenant.egress is None else "its policy"
    cells = [["(tenant)", _names(policy.allowed), origin]]
    for one in sorted(policy.sources):
        said = "source file" if one in files else "its policy"
        cells.append([one, _names(policy.sources[one] & policy.allowed), said])
    table(("source", "text may go to", "set by"), cells)


@app.command
def questions(
    name: str, words: Literal["readable", "hidden", "default"], /, *, reason: str = "", json: Json = False
) -> None:
    """Say whether those with the scope admin may read questions without an answer, or only how often each was asked.

    Example: rag tenant questions acme readable

    Parameters
    ----------
    words
        readable: their texts are kept. hidden: they are not, and those that are stored go now. default: as
        RAG_UNANSWERED_QUESTIONS says.
    reason
        Why, for the audit log.
    """
    readable = {"readable": True, "hidden": False, "default": None}[words]
    with transaction() as connection:
        changed = tenants.store.set_question_words(connection, name, actor=actor(), readable=readable, why=reason)
    _done(changed, f"tenant {name}: questions without an answer are {words}", json=json)


@app.command
def export(name: str, /, *, to: Path | None = None, reason: str = "", json: Json = False) -> None:
    """Export everything that is stored of a tenant: rows as JSON lines, its files, a manifest and checksums.

    Example: rag tenant export acme --to acme.zip

    Parameters
    ----------
    to
        Archive (a name that ends in .zip) or folder. Default: TENANT-export.zip in the current folder. Only its owner
        can read it; secrets and vectors are not in it.
    reason
        Why, for the audit log.
    """
    from rag_assets.tenants import tenant_files
    from rag_core.settings import Settings

    settings = Settings.load()
    target = to or Path(f"{name}-export.zip")
    with closing(database.open_store(settings)) as store:
        tenants.export.record(store, name, actor=actor(), why=reason)
        found = tenants.export.entries(store, name, tenant_files(settings, name), _progress)
        (tenants.export.write_archive if target.suffix == ".zip" else tenants.export.write_folder)(found, target)
    emit({"tenant": name, "export": str(target)}, f"tenant {name} is in {target}", json=json)


@app.command
def erase(
    name: str,
    /,
    *,
    audit: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="")] = False,
    reason: str = "",
    json: Json = False,
) -> None:
    """Erase a tenant for good: every row, the points of every index generation, its files and runs; with a receipt.

    It cannot be undone; export it first. Repeated after a failure it continues. Example: rag tenant erase acme

    Parameters
    ----------
    audit
        Remove its audit entries too; their chain continues from a checkpoint. Needs the database owner's role. Without
        it they stay until `rag audit prune`, without names of documents.
    yes
        Do not ask.
    reason
        Why, for the audit log.
    """
    from rag_assets.tenants import outside
    from rag_core.ingestion.pipeline import Pipeline
    from rag_core.settings import Settings

    settings = Settings.load()
    with transaction() as connection:
        tenant = tenants.store.get(connection, name)
    question = f"Erase tenant {name} with {tenant.sources} sources and {tenant.documents} documents for good?"
    if not yes and not confirmed(question):
        return
    with transaction() as connection:
        tenants.store.request_erasure(connection, name, actor=actor(), remove_audit=audit, why=reason)
    with Pipeline(settings) as pipeline, _owner(settings, wanted=audit) as owner, progress_bar("erasing") as progress:
        removing = outside(pipeline.store, settings)
        receipt = erasure.erase_tenant(pipeline, name, outside=removing, owner=owner, progress=progress)
    if json:
        emit_json(asdict(receipt))
        return
    counts = [(place, receipt.removed[place], receipt.found_afterwards[place]) for place in sorted(receipt.removed)]
    table(("erased", "removed", "left"), [*counts, *((what, count, "") for what, count in receipt.outside.items())])
    for place, why in receipt.kept.items():
        note(f"kept {place}: {why}")


def _owner(settings: Any, *, wanted: bool) -> Any:
    """A store of the database's owner, where audit entries are to go; else a context of nothing."""
    from pydantic import SecretStr

    if not wanted:
        return nullcontext()
    store = database.open_store(settings.model_copy(update={"database_url": SecretStr(settings.effective_owner_url)}))
    with store.engine.connect() as connection:
        if not database.roles.may_change_audit(connection):
            store.close()
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_DATABASE_OWNER_URL: must be the owner of the schema")
    return closing(store)


def _progress(path: str, rows: int) -> None:
    if rows and rows % 10_000 == 0:
        note(f"{path}: {rows} rows")


def _given(uses: list[str] | None) -> list[str] | None:
    """The endpoints that an option names; `None` for the installation's default."""
    if uses is None or uses == [_DEFAULT]:
        return None
    return [] if uses == [_NOTHING] else [part for use in uses for part in use.split(",") if part]


def _source(text: str) -> tuple[str, list[str]]:
    name, sign, uses = text.partition("=")
    if not sign or not name:
        raise InvalidInput(Reason.USAGE, f"--source {text}: write NAME=ENDPOINTS, such as hr=embed or hr=none")
    return name, [] if uses == _NOTHING else [part for part in uses.split(",") if part]


def _plain(tenant: Tenant, policy: EgressPolicy) -> dict[str, Any]:
    sources = {name: sorted(uses & policy.allowed) for name, uses in sorted(policy.sources.items())}
    effective = {"tenant": sorted(policy.allowed), "sources": sources}
    return asdict(tenant) | {"state": str(tenant.state), "effective_egress": effective}


def _uses(policy: EgressPolicy) -> str:
    less = sum(1 for uses in policy.sources.values() if not policy.allowed <= uses)
    return _names(policy.allowed) + (f" ({less} sources: less)" if less else "")


def _names(uses: frozenset[Any]) -> str:
    return ", ".join(sorted(uses)) or "none"


def _done(tenant: Tenant, sentence: str, *, json: bool) -> None:
    emit(asdict(tenant) | {"state": str(tenant.state)}, sentence, json=json)
