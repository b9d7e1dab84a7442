"""`rag deploy`: start a release of the query servers beside the serving one, shift traffic in steps, or back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from rag_core import database, failpoints
from rag_core.errors import Conflict, RagError, Reason, Unavailable
from rag_core.governance import audit
from ragctl.commands._shared import actor
from ragctl.output import Json, Limit, emit_json, note, say, table

if TYPE_CHECKING:
    from rag_core.governance.audit import Colour, Deployment, Step
    from rag_core.settings import Settings
    from ragctl.rollout.policy import AnalysisResult
    from ragctl.rollout.service import Deployments
    from ragctl.rollout.targets.base import Server

app = App(name="deploy", help="Blue/green deployments of the query servers.", help_format="plaintext")
_RETRY_SECONDS = 2.0
_AFTER_A_REFUSED_UPGRADE = (
    ". Gateway, pipeline and console are those of the new chart already: mend the release and repeat the upgrade, or "
    "go back with helm rollback"
)
TargetOption = Annotated[
    Literal["local", "kubernetes"], Parameter(help="Where to deploy: the stack of `rag up`, or a cluster.")
]


@app.command
def up(
    *,
    release: str,
    target: TargetOption = "local",
    python: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    image: str | None = None,
    generation: str = "",
    reason: str = "",
    and_switch: Annotated[bool, Parameter(name="--switch", negative="")] = False,
    json: Json = False,
) -> None:
    """Start a release on the idle colour and check it: health, v1 and v2 queries, golden questions, a burst of load.

    The release gets no user traffic yet.

    Exits with 1 and the reason code when a check fails; the serving colour is unaffected.

    Example: rag deploy up --release 2.4.0 --python /opt/rag-2.4.0/bin/python

    Parameters
    ----------
    release
        Name of the release.
    python
        Local: Python interpreter of the environment with the release. Default: this one.
    set_
        Local: override a setting of its servers, as RAG_NAME=value; may be repeated. No secrets.
    image
        Kubernetes: image with its digest (`registry/query@sha256:…`).
    generation
        Index generation to promote when all traffic is on the release, and to roll back with it.
    reason
        Why, for the history and the audit log.
    and_switch
        Once the release is ready, shift the traffic as `rag deploy switch` does.
    """
    from ragctl.rollout.analysis import DefaultGenerations
    from ragctl.rollout.releases import make_release
    from ragctl.rollout.service import DeployRequest

    wanted = make_release(target, release, python=python, assignments=set_ or (), image=image)
    with _deployments(target, quiet=json) as known:
        if generation:
            DefaultGenerations(known.settings, known.store).require(generation)
        row = known.up(DeployRequest(wanted, actor(), reason, generation))
        if and_switch and row.state.name == "READY":
            row = known.switch(actor(), reason)
    _report(row, "DONE" if and_switch else "READY", json=json)


@app.command
def switch(*, target: TargetOption = "local", reason: str = "", json: Json = False) -> None:
    """Shift the traffic to the ready release in steps and analyse each step. Rolls back automatically when one fails.

    After a crash, run it again to resume. Exits with 1 and the reason code when the release was rolled back.

    Example: rag deploy switch

    Parameters
    ----------
    reason
        Why, for the history and the audit log.
    """

    with _deployments(target, quiet=json) as known:
        row = known.switch(actor(), reason)
    _report(row, "DONE", json=json)


@app.command
def rollback(*, target: TargetOption = "local", reason: str = "", json: Json = False) -> None:
    """Return all traffic to the previous colour at once, and roll back the index generation promoted with the release.

    Also ends a deployment that is ready, or in progress in another process.

    Example: rag deploy rollback --reason "answers without citations"

    Parameters
    ----------
    reason
        Why, for the history and the audit log.
    """

    with _deployments(target, quiet=json) as known:
        row = known.roll_back(actor(), reason)
    _report(row, "ROLLED_BACK", "REFUSED", json=json)


@app.command
def follow(*, target: TargetOption = "kubernetes", seconds: float = 600, json: Json = False) -> None:
    """Deploy the release that the chart specifies and wait for the result. Exits with 1 and the reason code on failure.

    `helm upgrade` and `helm rollback` end with this command.

    A release that was refused before is checked again; a release that an operator rolled back is not.

    Example: rag deploy follow

    Parameters
    ----------
    seconds
        Seconds to wait while the database or the target is unavailable.
    """
    from ragctl.rollout import releases as declared

    deadline = time.monotonic() + seconds
    while True:
        try:
            with _deployments(target, quiet=json) as known:
                row = declared.serve_wanted(known)
                break
        except RagError as error:
            # Services that start at the same time may not be ready yet: a database in the chart, its tables, the API.
            later = isinstance(error, Unavailable) or error.reason == Reason.DATABASE_VERSION
            if not later or time.monotonic() > deadline:
                raise
            note(f"  {error.message}")
        time.sleep(_RETRY_SECONDS)
    _report(row, "DONE", json=json, or_else=_AFTER_A_REFUSED_UPGRADE)


@app.command
def check(
    *,
    target: TargetOption = "kubernetes",
    cited: float = 0,
    json: Json = False,
) -> None:
    """Run the smoke suite on the serving release. Exits with 1 and the reason code of the first check that fails.

    Example: rag deploy check --target local

    Parameters
    ----------
    cited
        Seconds to wait, after the suite, for an answer that cites a document; 0 skips this check.
    """
    passed = {}
    for name, result in _check_target(target, cited):
        if not result.passed:
            raise Conflict(Reason(result.reason), f"{name}: {result.detail}")
        passed[name] = result.detail or "ok"
        if not json:
            say(f"{name}: {passed[name]}")
    if json:
        emit_json(passed)


def _check_target(target: Literal["local", "kubernetes"], cited: float) -> Iterator[tuple[str, AnalysisResult]]:
    with _deployments(target, quiet=True) as known:
        yield from known.check()
        if cited:
            yield "smoke.cited", _await_cited(known.settings, known.serving, cited)


def _await_cited(settings: Settings, servers: Callable[[], Sequence[Server]], seconds: float) -> AnalysisResult:
    from ragctl.rollout.deployer import checked
    from ragctl.rollout.smoke import cited

    deadline = time.monotonic() + seconds
    while True:
        result = checked(lambda: cited(settings, servers()))
        if result.passed or time.monotonic() > deadline:
            return result
        time.sleep(_RETRY_SECONDS)


@app.command
def status(*, target: TargetOption = "local", limit: Limit = 5, json: Json = False) -> None:
    """Show both colours, recent deployments and the history of the newest. Retires a colour whose grace period is over.

    Example: rag deploy status

    Parameters
    ----------
    limit
        Maximum number of deployments.
    """
    with _deployments(target, quiet=True) as known:
        known.maintain()
        with known.store.engine.connect() as connection:
            colours = [colour for colour in audit.deployment_store.load_colours(connection) if colour.target == target]
            rows = audit.deployment_store.page(connection, limit, target=target)
            history = audit.deployment_store.history(connection, rows[0].id) if rows else []
    if json:
        found: dict[str, Sequence[Any]] = {"colours": colours, "deployments": rows, "history": history}
        emit_json({name: [asdict(item) for item in items] for name, items in found.items()})
    else:
        _print_status(colours, rows, history)


@contextmanager
def _deployments(target: Literal["local", "kubernetes"], *, quiet: bool) -> Iterator[Deployments]:
    from ragctl.local_stack.data_dir import load
    from ragctl.rollout.service import Deployments
    from ragctl.rollout.targets import open_target

    settings, data_dir = load()
    failpoints.arm(settings.failpoint)
    with closing(database.open_store(settings)) as store:
        yield Deployments.real(store, open_target(target, settings, data_dir), settings, _progress_printer(quiet=quiet))


def _progress_printer(*, quiet: bool) -> Any:
    said = [""]

    def on_progress(text: str) -> None:
        if not quiet and text != said[0]:
            said[0] = text
            note(f"  {text}")

    return on_progress


def _report(row: Deployment, *wanted: str, json: bool, or_else: str = "") -> None:
    """Print the outcome of a deployment. Raises `Conflict` with its reason when it did not succeed."""
    if json:
        emit_json(asdict(row))
    if row.state.name not in wanted:
        reason = Reason(row.reason) if row.reason else Reason.DEPLOYMENT_STATE
        why = row.detail or reason
        message = f"deployment {row.id} ({row.release}) {row.state} ({why}); {row.from_colour} serves"
        raise Conflict(reason, message + or_else)
    if not json:
        state = row.state.replace("_", " ")
        say(f"deployment {row.id}: {row.release} on {row.colour} is {state}, weight {row.weight} %")


def _print_status(colours: Sequence[Colour], rows: Sequence[Deployment], history: Sequence[Step]) -> None:
    table(
        ("colour", "release", "weight", "ready", "kept until", "detail"),
        [
            (
                item.name,
                item.release or "-",
                f"{item.weight} %",
                f"{item.healthy} of {item.servers}",
                _time(item.keep_until),
                item.detail,
            )
            for item in colours
        ],
    )
    say()
    table(
        ("deployment", "release", "colour", "state", "weight", "by", "created", "reason"),
        [
            (
                row.id,
                row.release,
                row.colour,
                row.state,
                f"{row.weight} %",
                row.actor,
                _time(row.created_at),
                row.reason,
            )
            for row in rows
        ],
        empty="no deployment yet",
    )
    if history:
        say()
        columns = ("at", "step", "", "weight", "seconds", "found")
        marks = {True: "ok", False: "FAILED"}
        table(
            columns,
            [
                (_time(one.at), one.step, marks[one.passed], f"{one.weight} %", f"{one.seconds:.1f}", _found(one))
                for one in history
            ],
        )


def _found(step: Step) -> str:
    return f"{step.reason}: {step.detail}" if step.reason else step.detail


def _time(moment: Any) -> str:
    return moment.astimezone().strftime("%m-%d %H:%M:%S") if moment is not None else ""
