"""`rag up`, `rag down`, `rag status`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rag_core.errors import Exhausted, Reason
from ragctl.commands._shared import say_left_out
from ragctl.output import Json, emit, emit_json, note, runnable, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag_core.content.sources import SourceProblem
    from rag_core.settings import Settings
    from ragctl.local_stack.display import Display
    from ragctl.local_stack.estimate import Estimate
    from ragctl.local_stack.ingest import RunOutcome
    from ragctl.local_stack.status import StackStatus
    from ragctl.local_stack.up import Stack


def up(
    *,
    docs: Path | None = None,
    ingest: Annotated[bool, Parameter(negative="--no-ingest")] = True,
    wait: Annotated[bool | None, Parameter(negative="--no-wait")] = None,
    replicas: int | None = None,
    traces: Annotated[bool | None, Parameter(negative="--no-traces")] = None,
    ports_from: int | None = None,
    json: Json = False,
) -> Reason | None:
    """Start the local stack, ingest its sources and print the next steps.

    Safe to repeat: starts only what is missing, and again only what reads a setting that has changed.

    Ends with 7 (PARTLY_DONE) when a source failed or its file is wrong: the rest runs.

    Example: rag up --docs ~/handbook

    Parameters
    ----------
    docs
        Folder to ingest instead of the documentation found on this machine.
    ingest
        Start a run of each source without a successful one.
    wait
        Wait for those runs. Default: unless a folder given by `--docs` is estimated to take longer than 10 minutes;
        it is then ingested in the background.
    replicas
        Number of query servers behind the gateway, kept for later starts; a running stack is scaled without a restart.
    traces
        Start a trace viewer too, also after later starts; a running stack is restarted for it. The first time it is
        installed below RAG_HOME: 150 packages, 830 MB.
    ports_from
        First of the ports that the stack listens on, all of them counted from it, kept for later starts: for a second
        stack on this machine.
    """
    from rag_assets.config import read_sources
    from ragctl.local_stack.data_dir import load, ports_counted_from
    from ragctl.local_stack.display import open_display
    from ragctl.local_stack.sources import ensure_sources, is_new_folder
    from ragctl.local_stack.up import start_stack

    options = {"replicas": replicas, "traces": traces}
    given = ports_counted_from(ports_from) | {name: value for name, value in options.items() if value is not None}
    settings, data_dir = load()
    data_dir.create()
    with data_dir.lock():
        try:
            new = docs is not None and ingest and is_new_folder(settings, docs)
            expected = _estimate(docs, settings) if docs is not None and new else None
            ensure_sources(settings, data_dir, docs)
            waits = wait if wait is not None else not (expected and expected.long)
            with open_display(silent=json) as display:
                stack = start_stack(display, **given)
            if not json:
                _announce(stack)  # the ingest may take long, and what is ingested first can be asked about meanwhile
            with open_display(silent=json) as display:
                outcomes = _ingest(stack, display, wait=waits) if ingest else []
        except KeyboardInterrupt:
            note("interrupted: what has started keeps running; `rag up` continues, `rag down` stops it")
            raise
    wrong = read_sources(settings.effective_sources_dir).problems
    if json:
        _emit(stack, outcomes, expected, wrong)
    else:
        _report(stack, wrong, background=ingest and not waits)
    # The stack runs: a source that failed, or whose file is wrong, is a part that is not done.
    return Reason.PARTLY_DONE if wrong or not all(outcome.succeeded for outcome in outcomes) else None


def _estimate(docs: Path, settings: Settings) -> Estimate:
    """Say at once what the ingest of a folder will cost. Raises `Exhausted` (`STORAGE_FULL`) when it does not fit."""
    from ragctl.local_stack.estimate import estimate

    note(f"  {docs}: counting what there is")
    found = estimate(docs.expanduser().resolve(), settings)
    note(f"  {docs}: {found.describe()}")
    if not found.fits:
        raise Exhausted(Reason.STORAGE_FULL, "the folder does not fit on the disk of RAG_HOME: free space or move it")
    return found


def _ingest(stack: Stack, display: Display, *, wait: bool) -> list[RunOutcome]:
    from ragctl.local_stack.ingest import Sync

    with closing(Sync(stack.settings)) as sync:
        under_way = sync.under_way()
        wanted = [job for job in sync.never_read() if job not in under_way]
        sync.start(wanted)
        return sync.wait([*wanted, *under_way], display) if wait else []


def _announce(stack: Stack) -> None:
    from ragctl.local_stack.next_steps import urls

    say(f"\nReady after {stack.seconds:.1f} s.\n")
    table(("what", "where"), urls(stack.settings).items())
    _sign_in(stack)


def _sign_in(stack: Stack) -> None:
    """Print the console's address, account and password: the last lines, which stay on the screen."""
    from rag_core.governance.access import FIRST_ACCOUNT
    from ragctl.local_stack.next_steps import urls

    say(f"\nConsole   {urls(stack.settings)['Console']}")
    if stack.console_password:
        say(f"Account   {FIRST_ACCOUNT}\nPassword  {stack.console_password}   (shown only now)")
    else:
        say(
            runnable(
                f"Account   {FIRST_ACCOUNT}, or another; `rag account add {FIRST_ACCOUNT}` gives it a new password"
            )
        )


def _emit(stack: Stack, outcomes: list[RunOutcome], expected: Estimate | None, wrong: Sequence[SourceProblem]) -> None:
    from rag_core.governance.access import FIRST_ACCOUNT
    from ragctl.local_stack.next_steps import urls

    made = {"name": FIRST_ACCOUNT, "password": stack.console_password} if stack.console_password else None
    emit_json(
        {
            "ready_seconds": round(stack.seconds, 1),
            "ingest": {outcome.source: outcome.status for outcome in outcomes},
            "left_out": [str(problem) for problem in wrong],
            "estimate": expected.to_json() if expected else None,
            "urls": urls(stack.settings),
            "console_account": made,
        }
    )


def _report(stack: Stack, wrong: Sequence[SourceProblem], *, background: bool) -> None:
    from ragctl.local_stack.next_steps import examples, sample_question

    say("\nTry:\n")
    for title, command in examples(stack.settings, stack.home, sample_question(stack.settings)):
        say(f"# {title}\n{command}\n")
    if background:
        say(runnable("The sources are ingested in the background; `rag source status` shows how far they are."))
    say_left_out(wrong)
    _sign_in(stack)


def down(*, json: Json = False) -> None:
    """Stop the local stack, user-facing services first. Data stays. Safe to repeat.

    Example: rag down
    """
    from ragctl.local_stack.data_dir import load
    from ragctl.local_stack.lifecycle import stop_stack
    from ragctl.local_stack.services import build_services

    settings, data_dir = load()
    if not data_dir.run.is_dir():
        found = False
    else:
        data_dir.create()
        with data_dir.lock():
            progress = (lambda name: None) if json else (lambda name: note(f"  {name:<20} stopped"))
            found = stop_stack(settings, data_dir, build_services(settings, data_dir), progress)
    emit({"stopped": found}, "stopped" if found else "nothing was running", json=json)


def status(*, json: Json = False) -> int:
    """Show the state of every service, source and index generation. Exits with 1 when a service is not healthy.

    Example: rag status --output json
    """
    from ragctl.local_stack.data_dir import load
    from ragctl.local_stack.services import build_services
    from ragctl.local_stack.status import read_status

    settings, data_dir = load()
    found = read_status(settings, data_dir, build_services(settings, data_dir))
    if json:
        emit_json({"healthy": found.healthy, **asdict(found)})
    else:
        _print_status(found)
    return int(not found.healthy)


def _print_status(found: StackStatus) -> None:
    from rag_core.ingestion.source_status import duration

    columns = ("part", "state", "pid", "up", "restarts", "url", "detail")
    table(
        columns,
        [
            (
                part.name,
                part.state,
                part.pid or "",
                duration(part.uptime_seconds) if part.pid else "",
                part.restarts,
                part.url,
                part.detail,
            )
            for part in found.parts
        ],
    )
    if found.problem:
        say(f"\n{found.problem}")
    if found.platform:
        _print_platform(found.platform)


def _print_platform(platform: dict[str, Any]) -> None:
    say()
    table(
        ("component", "healthy", "detail"),
        [(item["name"], "yes" if item["healthy"] else "no", item["detail"]) for item in platform["components"]],
    )
    say()
    names = ("name", "kind", "documents", "chunks", "pending", "quarantined", "held_deletions")
    table(
        ("source", *names[1:], "last complete", "state"),
        [
            [
                *(item.get(name) for name in names),
                _moment(item.get("last_complete_at")),
                item.get("condition", {}).get("summary", ""),
            ]
            for item in platform["sources"]
        ],
        empty="no source has run yet",
    )
    say()
    table(
        ("generation", "state", "points", "created"),
        [
            (item["name"], item["state"], item["points"], _moment(item.get("created_at")))
            for item in platform["generations"]
        ],
        empty="no index generation yet",
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
