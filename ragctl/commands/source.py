"""`rag source`: list the configured sources, check whether they can be read, and sync them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from ragctl.commands import source_changes
from ragctl.commands._shared import actor, quiet
from ragctl.output import Json, emit_json, note, say, table

if TYPE_CHECKING:
    from rag_assets.source_config import SourceConfig

app = App(
    name="source",
    help="Sources: add, list, check, sync, delete, crawl report, deletions.",
    help_format="plaintext",
)


app.command(source_changes.add)
app.command(source_changes.delete)


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """List the configured sources.

    Example: rag source list
    """
    rows = [_described(config) for config in _named(None)]
    if json:
        emit_json(rows)
    else:
        columns = ("name", "kind", "tenant", "acl", "shards", "enabled", "place")
        table(columns, [[row[name] for name in columns] for row in rows], empty="no source is configured")


@app.command
def check(name: str | None = None, /, *, json: Json = False) -> int:
    """Validate every source file, connect to the sources and show a sample of each. Nothing is written.

    Example: rag source check handbook

    Parameters
    ----------
    name
        Only this source.
    """
    found = {config.name: _checked(config) for config in _named(name)}
    if json:
        emit_json(found)
    else:
        for source, result in found.items():
            say(f"{source}: {'ok' if result['ok'] else 'not readable'}, {result['items']} items")
            for item in result["sample"]:
                say(f"  {item}")
            for problem in (*result.get("problems", ()), result.get("error")):
                if problem:
                    say(f"  {problem}")
    return int(not all(result["ok"] for result in found.values()))


@app.command
def sync(
    name: str | None = None,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
    json: Json = False,
) -> int:
    """Sync a source now in a Dagster run: list it and bring the index up to date.

    Example: rag source sync handbook

    Parameters
    ----------
    name
        Only this source. Default: all sources.
    wait
        Wait until the runs end.
    """
    from rag_core.settings import Settings
    from ragctl.local_stack.display import open_display
    from ragctl.local_stack.ingest import Sync

    with closing(Sync(Settings.load())) as runs, open_display(silent=json) as display:
        jobs = [runs.get(name)] if name else list(runs.jobs.values())
        runs.start(jobs)
        outcomes = runs.wait(jobs, display) if wait else []
    states = (
        {outcome.source: outcome.status for outcome in outcomes} if wait else {job.source: "STARTED" for job in jobs}
    )
    reasons = {outcome.source: outcome.reason for outcome in outcomes}
    if json:
        emit_json(states)
        for source, reason in reasons.items():
            if reason:
                note(f"{source}: {reason}")
    else:
        table(("source", "run", "reason"), [(source, run, reasons.get(source, "")) for source, run in states.items()])
    return int(not all(outcome.succeeded for outcome in outcomes))


@app.command
def report(name: str, /, *, url: str | None = None, outcome: str | None = None, json: Json = False) -> None:
    """Show for each URL of a web source why the last crawl included it or not.

    Example: rag source report website --outcome excluded

    Parameters
    ----------
    url
        Only URLs that contain this text.
    outcome
        Only this outcome: indexed, unchanged, kept, gone, moved, duplicate, excluded, budget, failed, "out of scope",
        "not a document".
    """
    from rag_assets.connectors.web.state import crawl_report
    from rag_core.database import open_store
    from rag_core.settings import Settings
    from rag_core.sources import StoredMemory

    (config,) = _named(name)
    with closing(open_store(Settings.load())) as store:
        rows = list(crawl_report(StoredMemory(store, config.tenant, config.name), outcome=outcome, url=url))
    if json:
        emit_json(rows)
        return
    columns = ("url", "outcome", "why", "found_on")
    table(
        columns, [[row[column] for column in columns] for row in rows], empty="no crawl was recorded, or nothing fits"
    )


@app.command
def approve_deletions(name: str, /, *, json: Json = False) -> None:
    """Approve held deletions of a source, for its next run only. Recorded in the audit log.

    Example: rag source approve-deletions handbook
    """
    from rag_core.database import open_store
    from rag_core.pipeline import approve_deletions as approve
    from rag_core.settings import Settings

    (config,) = _named(name)
    store = open_store(Settings.load())
    try:
        released = approve(store, config.tenant, config.name, actor())
    finally:
        store.close()
    if json:
        emit_json({"source": name, "released": released})
    else:
        say(f"{released} deletions are released; `rag source sync {name}` carries them out")


def _checked(config: SourceConfig) -> dict[str, Any]:
    from rag_assets.connectors import connector_context, open_connector
    from rag_core.settings import Settings

    with quiet(), open_connector(config, connector_context(config, Settings.load())) as connector:
        return connector.check()


def _named(name: str | None) -> list[SourceConfig]:
    """The source of this name, all of them without one."""
    from rag_assets.config import find_sources
    from rag_core.settings import Settings

    return find_sources(Settings.load().effective_sources_dir, None if name is None else [name])


def _described(config: SourceConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "kind": config.options.kind,
        "tenant": config.tenant,
        "acl": ", ".join(config.acl) if config.acl else "nobody",
        "shards": config.shards,
        "enabled": config.enabled,
        "place": config.options.location,
    }
