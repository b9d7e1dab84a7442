"""`rag source add` and `rag source delete`: what the console's wizard does, in a terminal."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rag_core.errors import ConfigError, InvalidInput, NotFound, RagError, Reason
from ragctl.commands._shared import actor, confirmed
from ragctl.commands.source_preview import examined, show
from ragctl.output import Json, emit_json, note, say, table
from ragctl.tokens import DEFAULT_TENANT

if TYPE_CHECKING:
    from rag_assets.connectors.kind import Card, ConnectorKind
    from rag_assets.source_admin import SourceFile
    from rag_assets.source_config import SourceConfig
    from rag_core.content.sources import Source
    from rag_core.settings import Settings


def add(
    kind: str,
    location: str | None = None,
    /,
    *,
    name: str | None = None,
    tenant: str = DEFAULT_TENANT,
    acl: Annotated[list[str] | None, Parameter(negative="")] = None,
    nobody: Annotated[bool, Parameter(negative="")] = False,
    cron: str | None = None,
    timezone: str = "UTC",
    option: Annotated[list[str] | None, Parameter(name=("--option", "-o"), negative="")] = None,
    preview: bool = True,
    unchecked: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="")] = False,
    sync: Annotated[bool, Parameter(negative="--no-sync")] = True,
    json: Json = False,
) -> Reason | None:
    """Add a source: test it, preview it, write its file, and wait until it is read.

    On a terminal it asks for location and name. Example: rag source add folder /srv/handbook --name handbook

    Parameters
    ----------
    kind
        folder, site, page (one URL), sql, api, s3, azure, gcs, sftp, webdav, smb, imap, confluence, jira, sharepoint,
        google_drive, slack, notion, mediawiki, redmine, git, topic, or a word of another package
        (`rag source kinds`).
    location
        What the kind reads: folder, URL, table, bucket (or s3://BUCKET/PREFIX), repository, topic, host.
    name
        Name of the source. Default: made from the location.
    acl
        Who may read it: everyone, group:NAME, user:NAME. Default: everyone.
    nobody
        Nobody, until the source itself reports permissions.
    cron
        Schedule of the full comparison, such as "0 3 * * *" (the default); "none" for none.
    timezone
        Its time zone.
    option
        A further option of the kind as KEY=VALUE, such as database.host=db1 or 'include=["**/*.md"]'.
    preview
        Read the first items before.
    unchecked
        Also when it cannot be read now; a folder that does not exist is always refused.
    dry_run
        Test and preview, print the file, and write nothing.
    yes
        Write without asking.
    sync
        Wait until its first load ends: by a stream worker, or by a run when it is large.
    """
    from rag_assets.source_admin import find_card, parse_definition, render_definition, require_readable
    from rag_core.settings import Settings

    settings = Settings.load()
    source_kind, card = find_card(kind)
    location = location or _ask(_question(source_kind, card), json=json)
    chosen = name or _ask("Name of the source", _suggested(kind, location), json=json)
    readers = None if nobody else acl or ["everyone"]
    attributes: dict[str, Any] = {"name": chosen, "tenant": tenant} | ({"acl": readers} if readers else {})
    if cron is not None:
        attributes["schedule"] = None if cron == "none" else {"cron": cron, "timezone": timezone}
    attributes["options"] = _options(source_kind, card, location, option or [])
    text = render_definition(attributes)
    config = parse_definition(text)
    found = examined(config, settings, preview=preview)
    require_readable(config, None if unchecked else found["check"], " (--unchecked adds it all the same)")
    if not json:
        show(found, text, config)
    if dry_run:
        if json:
            emit_json({**found, "written": False, "file": f"{chosen}.yaml", "text": text})
        return None
    if not (yes or json or confirmed(f"Write {chosen}.yaml?")):
        return Reason.CANCELLED
    file = _write(config, text, settings)
    synced = None
    if sync and file.written and config.has_runs:
        synced = _first_load(settings, chosen, silent=json)
    if json:
        said = {"written": file.written, "merge_request": file.merge_request, "file": file.file, "text": text}
        emit_json({**found, **said, "run": synced})
    elif file.merge_request:
        say(f"The folder of source files is read-only: merge {file.merge_request}")
    elif not file.written:
        say(f"The folder of source files is read-only: commit the text above as {file.file} where it comes from.")
    else:
        say(f"{file.file} is written" + (f"; its first load ended: {synced}" if synced else ""))
    # The source is there: a first load that failed is a part that is not done.
    return None if synced in (None, "SUCCESS") else Reason.PARTLY_DONE


def delete(
    name: str,
    /,
    *,
    tenant: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="")] = False,
    json: Json = False,
) -> Reason | None:
    """Delete a source: its file, its runs, its documents in every index, what is remembered of it. Prints a receipt.

    Example: rag source delete handbook

    Parameters
    ----------
    tenant
        Tenant of pushed documents, or of a source whose file is wrong; otherwise its file says which. With another
        tenant than the file's only what that tenant pushed into a source of this name is deleted.
    dry_run
        Only count what would be removed.
    yes
        Delete without asking.
    """
    from rag_assets.source_admin import find_removable, remove
    from rag_core.ingestion.pipeline import Pipeline
    from rag_core.settings import Settings

    settings = Settings.load()
    file, tenant = _file_of(name, settings, tenant)
    with Pipeline(settings) as pipeline:
        wanted = find_removable(pipeline, name, tenant, file)
        counts = dataclasses.asdict(wanted.found)
        if not json:
            table(("what", "rows"), list(counts.items()))
        if dry_run:
            if json:
                emit_json({"source": name, "found": counts, "deleted": False})
            return None
        if not (yes or json or confirmed(f"Delete {name} and its {counts['documents']} documents?")):
            return Reason.CANCELLED
        ended: list[str] = []
        removal = remove(
            pipeline,
            wanted,
            f"delete-source-{name}",
            actor=actor(),
            file_removed=lambda: ended.extend(_end_runs(settings, wanted.source)),
        )
    receipt = {"source": name, "tenant": tenant, "found": counts, "left": dataclasses.asdict(removal.left),
               "runs_ended": ended, "deleted": removal.applied}  # fmt: skip
    if json:
        emit_json(receipt)
    else:
        if ended:
            say(f"runs that were ended: {', '.join(run[:8] for run in ended)}")
        say(f"{name} is deleted" if removal.applied else "an index has still to apply it; repeat the command later")
    return None if removal.applied else Reason.PARTLY_DONE


def _file_of(name: str, settings: Settings, tenant: str | None) -> tuple[SourceFile | None, str]:
    """The file of a source and its tenant; none of an interrupted deletion, or of pushed documents."""
    from rag_assets.source_admin import SourceFolder, parse_definition

    try:
        file = SourceFolder(settings.effective_sources_dir).find(name)
    except NotFound:
        return None, tenant or DEFAULT_TENANT
    try:
        own = parse_definition(file.text).tenant
    except RagError:  # a wrong file says nothing about its tenant that could be trusted
        return file, tenant or DEFAULT_TENANT
    # With another tenant's name these are what that one pushed, and the file stays.
    return (file, own) if tenant in (None, own) else (None, tenant)


def _end_runs(settings: Settings, source: Source) -> list[str]:
    """Have Dagster forget the source, and end its runs: one under way holds it, one that waits would fail.

    A stack that does not run has neither. Jobs are named by their source alone: where a file of the name is left, it is
    another tenant's, and so are they.
    """
    from rag_assets.source_admin import SourceFolder
    from ragctl.dagster import dagster_client, end_runs
    from ragctl.local_stack.ingest import reload_changed

    with suppress(NotFound):
        SourceFolder(settings.effective_sources_dir).find(source.name)
        return []
    with closing(dagster_client(settings)) as api:
        try:
            reload_changed(api, settings)
            return end_runs(api, settings, source, actor=actor())
        except RagError as error:
            note(f"its runs were not ended: {error.message}")
            return []


def _options(kind: ConnectorKind, card: Card, location: str, given: list[str]) -> dict[str, Any]:
    import yaml

    from rag_assets.connectors.forms import location_options, put_option, require_options

    options = location_options(kind, card, location)
    for entry in given:
        path, equals, value = entry.partition("=")
        if not equals:
            raise InvalidInput(Reason.USAGE, f"--option {entry!r}: write KEY=VALUE")
        try:
            put_option(options, path, yaml.safe_load(value))
        except TypeError as error:
            raise InvalidInput(Reason.USAGE, f"--option {entry!r}: {error} is no mapping") from None
        except yaml.YAMLError:
            raise InvalidInput(Reason.USAGE, f"--option {entry!r}: the value is no YAML") from None
    require_options(kind, card, options)
    return options


def _question(kind: ConnectorKind, card: Card) -> str:
    from rag_assets.connectors.forms import form_fields

    return next((one.label for one in form_fields(kind, card) if one.path == card.location), card.title)


def _suggested(kind: str, location: str) -> str:
    import re
    from urllib.parse import urlsplit

    last = location.rstrip("/").rpartition("/")[2]
    hosted = "://" in location and kind not in ("git", "s3")
    word = (urlsplit(location).hostname or "") if hosted else last.removesuffix(".git")
    return re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-").lstrip("0123456789-")[:63] or kind


def _write(config: SourceConfig, text: str, settings: Settings) -> SourceFile:
    """Write the file; the row of the source and the audit entry are one transaction."""
    from rag_assets.source_admin import SourceFolder, propose
    from rag_core.content.sources import operation_store
    from rag_core.database import open_store
    from rag_core.governance.audit import audit_store
    from rag_core.governance.tenants import store as tenants

    with closing(open_store(settings)) as store, store.engine.begin() as connection:
        tenants.require_not_erased(connection, config.tenant)
        file = propose(
            settings, SourceFolder(settings.effective_sources_dir).add(config, text), new=True, actor=actor()
        )
        if file.written and config.has_runs:
            operation_store.register(connection, config.source)
        details = {"tenant": config.tenant, "kind": config.options.kind, "written": file.written}
        audit_store.record(connection, actor=actor(), action="source.create", target=config.name, details=details)
    return file


def _first_load(settings: Settings, name: str, *, silent: bool) -> str:
    """Wait until a stream worker has read the source, or its first run has."""
    from ragctl.local_stack.display import open_display
    from ragctl.local_stack.ingest import Sync

    with open_display(silent=silent) as display, closing(Sync(settings)) as sync:
        job = sync.get(name)
        sync.start([job])
        (outcome,) = sync.wait([job], display)
    if outcome.reason:
        note(f"{name}: {outcome.reason}")
    return outcome.status


def _ask(question: str, default: str = "", *, json: bool) -> str:
    if json or not sys.stdin.isatty():
        if default:
            return default
        raise ConfigError(Reason.USAGE, f"{question.lower()}: give it as an argument (there is no terminal to ask on)")
    print(f"{question}{f' [{default}]' if default else ''}: ", end="", file=sys.stderr, flush=True)
    return input().strip() or default
