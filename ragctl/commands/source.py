"""`rag source`: the configured sources, their states and history, whether they can be read, and their runs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from rag_core import database
from rag_core.content import sources
from rag_core.errors import Reason
from rag_core.ingestion import pipeline
from ragctl.commands import source_changes, source_edits
from ragctl.commands._shared import actor, partly, quiet, say_left_out
from ragctl.output import Json, Limit, emit, emit_json, note, progress_bar, runnable, say, table
from ragctl.source_history import read_history, report_of, state_fields, status_of, status_of_all

if TYPE_CHECKING:
    from rag_assets.source_config import SourceConfig
    from rag_core.ingestion.source_status import SourceReport

_MANY = 50
"""More rows than a person reads to find the one that needs something."""

app = App(
    name="source",
    help="Sources: kinds, add, list, show, status, history, check, sync, edit, pause, resume, reload, report, "
    "approve-deletions, delete.",
    help_format="plaintext",
)


app.command(source_changes.add)
app.command(source_changes.delete)
app.command(source_edits.edit)
app.command(source_edits.pause)
app.command(source_edits.resume)


@app.command
def kinds(*, json: Json = False) -> Reason | None:
    """List the kinds of source that are installed, with the package of each; a broken one is named.

    Fails with CHECK_FAILED, after the list, when one cannot be used.

    Example: rag source kinds
    """
    from rag_assets.source_admin import describe_kinds

    found = describe_kinds()
    if json:
        emit_json(found)
    else:
        table(("kind", "add as", "readers", "from", "state"), [_kind_row(one) for one in found],
              empty="no kind is installed: run `make setup`")  # fmt: skip
    return Reason.CHECK_FAILED if any(one.get("problem") for one in found) else None


def _kind_row(one: dict[str, Any]) -> tuple[str, ...]:
    state = f"broken: {one['problem']}" if one.get("problem") else "ok"
    if missing := one.get("missing"):
        state = f"pip install '{missing}'"
    words = ", ".join(card["name"] for card in one.get("cards", ()))
    return one["name"], words, one.get("readers", ""), f"{one['package']} {one['version']}", state


@app.command(name="list")
def list_(*, json: Json = False) -> Reason | None:
    """List the configured sources with the state of each, as the console shows it.

    Fails with DATABASE_UNAVAILABLE, after the list, when the states cannot be read.

    Example: rag source list
    """
    from rag_assets.config import read_sources
    from rag_core.settings import Settings

    found = read_sources(Settings.load().effective_sources_dir)
    states, unknown = status_of(found.sources)
    rows = [_described(config) | state_fields(states.get(config.name)) for config in found.sources]
    wrong = [
        {"name": one.source, "tenant": one.tenant, "place": one.place, "problem": f"{one.reason}: {one.message}"}
        for one in found.problems
    ]
    if json:
        emit_json([*rows, *wrong])
        return unknown
    columns = ("name", "kind", "tenant", "acl", "shards", "enabled", "place", "status")
    table(columns, [[row[name] for name in columns] for row in rows], empty="no source is configured")
    say_left_out(found.problems)
    return unknown


@app.command
def status(name: str | None = None, /, *, json: Json = False) -> Reason | None:
    """Show what each source does or waits for, what failed and what to do.

    Of more than 50 sources that are up to date only the number is said.

    Fails with DATABASE_UNAVAILABLE when the states cannot be read.

    Example: rag source status handbook

    Parameters
    ----------
    name
        Only this source.
    """
    from rag_assets.config import read_sources
    from rag_core.settings import Settings

    found = read_sources(Settings.load().effective_sources_dir) if name is None else None
    configs = found.sources if found is not None else _named(name)
    orphans: list[SourceReport] = []
    if name is None:
        states, orphans, unknown = status_of_all(configs)
    else:
        states, unknown = status_of(configs)
    rows = [{"name": config.name, **state_fields(states.get(config.name))} for config in configs]
    wrong: dict[tuple[str, str], list[str]] = {}
    for one in found.problems if found is not None else ():
        wrong.setdefault((one.source, one.tenant), []).append(str(one))
    for (source, tenant), said in wrong.items():
        rows.append({"name": source, **state_fields(report_of(source, "", tenant, "; ".join(said)))})
    rows += [{"name": report.counts.name, **state_fields(report)} for report in orphans]
    if json:
        emit_json(rows)
        return unknown
    columns = ("name", "status", "documents", "pending", "message", "remedy")
    good = sum(row["state"] == "up_to_date" for row in rows)
    left_out = ("up_to_date",) if good > _MANY else ()
    shown = [[row[column] for column in columns] for row in rows if row["state"] not in left_out]
    headings = ("source", "state", "documents", "not searchable yet", "why", "what to do")
    if shown or not left_out:
        table(headings, shown, empty="no source is configured")
    if left_out:
        say(runnable(f"{good:,} sources are up to date; `rag source list` names them"))
    return unknown


@app.command
def show(name: str, /, *, json: Json = False) -> Reason | None:
    """Show one source: its configuration, its state, and the last failure with its remedy.

    Fails with DATABASE_UNAVAILABLE, after the configuration, when the state cannot be read.

    Example: rag source show handbook
    """
    (config,) = _named(name)
    states, unknown = status_of([config])
    found = _described(config) | state_fields(states.get(name))
    if json:
        emit_json(found)
    else:
        rows = [(key.replace("_", " "), value) for key, value in found.items() if value not in ("", None)]
        table(("property", "value"), rows)
    return unknown


@app.command
def history(name: str, /, *, limit: Limit = 20, json: Json = False) -> None:
    """Show the newest runs of a source and what operators did to it, newest first.

    Example: rag source history handbook

    Parameters
    ----------
    limit
        How many entries.
    """

    (config,) = _named(name)
    entries = read_history(config, limit)
    if json:
        emit_json(entries)
    else:
        columns = ("at", "what", "result", "seconds", "actor", "run")
        table(columns, [[row[column] for column in columns] for row in entries], empty="nothing has happened yet")


@app.command
def check(name: str | None = None, /, *, json: Json = False) -> Reason | None:
    """Validate every source file, connect to the sources and show a sample of each. Nothing is written.

    Example: rag source check handbook

    Parameters
    ----------
    name
        Only this source.
    """
    configs, found = _named(name), dict[str, dict[str, Any]]()
    with progress_bar("connecting") as progress:
        for config in configs:
            progress(len(found), len(configs))
            found[config.name] = _checked(config)
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
    return partly([result["ok"] for result in found.values()])


@app.command
def sync(
    *names: str,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
    json: Json = False,
) -> Reason | None:
    """Sync sources now: list them and bring the index up to date, each in a Dagster run.

    The first load of a small source is a stream worker's.

    Example: rag source sync handbook wiki

    Parameters
    ----------
    names
        Only these sources. Default: all sources.
    wait
        Wait until all are read. One that fails does not stop the others.
    """
    from rag_core.settings import Settings
    from ragctl.local_stack.display import open_display
    from ragctl.local_stack.ingest import Sync

    with closing(Sync(Settings.load())) as runs, open_display(silent=json) as display:
        jobs = [*map(runs.get, dict.fromkeys(names))] if names else list(runs.jobs.values())
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
    return partly([outcome.succeeded for outcome in outcomes])


@app.command
def reload(*, wait: Annotated[bool, Parameter(negative="--no-wait")] = True, json: Json = False) -> Reason | None:
    """Load the source files again. Not needed after an edit: within 10 seconds it happens by itself.

    Ends when new small sources are read. Fails with CHECK_FAILED when a file is wrong; the others are loaded.

    Example: rag source reload

    Parameters
    ----------
    wait
        Wait until a stream worker has read the new sources; those that need a run are not waited for.
    """
    from rag_assets.config import read_sources
    from rag_core.settings import Settings
    from ragctl.dagster import dagster_client
    from ragctl.local_stack.display import open_display
    from ragctl.local_stack.ingest import Sync

    settings = Settings.load()
    with closing(Sync(settings)) as sync, open_display(silent=json) as display:
        new = sync.first_loads(sync.jobs.values())
        with closing(dagster_client(settings)) as api:
            api.reload()
        read = [one.source for one in (sync.wait_for_worker(new, display) if wait else ())]
    unread = [job.source for job in new if job.source not in read]
    found = read_sources(settings.effective_sources_dir)
    if json:
        emit_json({"sources": [config.name for config in found.sources], "read": read, "unread": unread,
                   "problems": list(map(str, found.problems))})  # fmt: skip
    else:
        say(f"{len(found.sources)} sources are loaded" + (f", {len(read)} were read" if read else ""))
        if wait and unread:
            say(f"Left to runs, which read them or say why not: {', '.join(unread)}")
            say(runnable("`rag source status` shows when they have."))
        say_left_out(found.problems)
    return Reason.CHECK_FAILED if found.problems else None


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
    from rag_core.settings import Settings

    (config,) = _named(name)
    with closing(database.open_store(Settings.load())) as store:
        rows = list(crawl_report(sources.StoredMemory(store, config.tenant, config.name), outcome=outcome, url=url))
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
    from rag_core.settings import Settings

    (config,) = _named(name)
    with closing(database.open_store(Settings.load())) as store:
        released = pipeline.approve_deletions(store, config.tenant, config.name, actor())
    emit(
        {"source": name, "released": released},
        f"{released} deletions are released; `rag source sync {name}` carries them out",
        json=json,
    )


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
