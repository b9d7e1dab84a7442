"""Carry out an operation on a source: check, preview, browse, read, create, update or delete."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from rag_assets.connectors.allowances import require_allowed
from rag_assets.source_admin.browse import browse_source
from rag_assets.source_admin.definition import parse_definition, restrict_definition
from rag_assets.source_admin.files import SourceFile, SourceFolder
from rag_assets.source_admin.kinds import describe_kinds
from rag_assets.source_admin.merge_request import propose
from rag_assets.source_admin.page import draw_page
from rag_assets.source_admin.preview import check_source, preview_source, require_readable
from rag_assets.source_admin.removal import find_removable, remove
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import Action, Operation, operation_store
from rag_core.errors import NotFound, RagError, Reason
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.pipeline import Pipeline, Removal
from rag_core.settings import Settings

PREVIEW_SHARE = 0.6
"""The part of the time of a preview that is for listing and reading; the rest is for starting and parsing."""
Result = dict[str, Any]


def carry_out(pipeline: Pipeline, operation: Operation) -> None:
    """Do what was asked and store the result, or the reason why it failed, in the operation's row."""
    try:
        result = _HANDLERS[operation.action](pipeline, operation)
    except RagError as error:
        with pipeline.store.engine.begin() as connection:
            operation_store.finish(connection, operation.id, reason=str(error.reason), message=error.message)
    else:
        if result is not None:  # else the handler stored it in the transaction of its change
            with pipeline.store.engine.begin() as connection:
                operation_store.finish(connection, operation.id, result=result)


def _check(pipeline: Pipeline, operation: Operation) -> Result:
    return {"check": check_source(_allowed(pipeline.settings, operation), pipeline.settings)}


def _preview(pipeline: Pipeline, operation: Operation) -> Result:
    config, settings = _allowed(pipeline.settings, operation), pipeline.settings
    if config.options.is_stream:
        return {"check": check_source(config, settings), "preview": {"items": [], "chunks": []}}
    seconds = settings.source_operation_seconds * PREVIEW_SHARE
    return {"preview": preview_source(config, settings, seconds=seconds, store=pipeline.store)}


def _browse(pipeline: Pipeline, operation: Operation) -> Result:
    return {"offers": browse_source(_allowed(pipeline.settings, operation, browsing=True), pipeline.settings)}


def _read(pipeline: Pipeline, operation: Operation) -> Result:
    file, _ = _existing(pipeline.settings, operation)
    return {"file": describe_file(file)}


def _create(pipeline: Pipeline, operation: Operation) -> None:
    config = _allowed(pipeline.settings, operation)
    _require_writable(pipeline, config, operation)
    file = SourceFolder(pipeline.settings.effective_sources_dir).add(config, _definition(operation))
    file = propose(pipeline.settings, file, new=True, actor=operation.actor)
    store_written(pipeline, operation, config, file)


def _update(pipeline: Pipeline, operation: Operation) -> None:
    _existing(pipeline.settings, operation)
    config = _allowed(pipeline.settings, operation)
    _require_writable(pipeline, config, operation)
    request = operation.request
    files = SourceFolder(pipeline.settings.effective_sources_dir)
    file = files.replace(operation.source, config, _definition(operation), request.get("digest", ""))
    file = propose(pipeline.settings, file, new=False, actor=operation.actor)
    store_written(pipeline, operation, config, file)


def store_written(pipeline: Pipeline, operation: Operation, config: SourceConfig, file: SourceFile) -> None:
    """Store the result, and the row of a source whose file is in the folder, in one transaction."""
    with pipeline.store.engine.begin() as connection:
        if file.written and config.has_runs:
            operation_store.register(connection, config.source)
        operation_store.finish(connection, operation.id, result={"file": describe_file(file)})


def _delete(pipeline: Pipeline, operation: Operation) -> Result | None:
    try:
        file, tenant = _existing(pipeline.settings, operation)
    except NotFound:
        file, tenant = None, operation.tenant
    wanted = find_removable(pipeline, operation.source, tenant, file)
    found = dataclasses.asdict(wanted.found)
    result: Result = {"removal": {"found": found, "file": file.file if file else "", "text": wanted.text}}
    if operation.request.get("dry_run"):
        return result

    def finished(connection: Connection, removal: Removal) -> None:
        result["removal"] |= {"left": dataclasses.asdict(removal.left), "applied": removal.applied}
        operation_store.finish(connection, operation.id, result=result)

    remove(pipeline, wanted, f"delete-source-{operation.id}", actor=operation.actor, finished=finished)
    return None


_HANDLERS: dict[Action, Callable[[Pipeline, Operation], Result | None]] = {
    Action.CHECK: _check,
    Action.PREVIEW: _preview,
    Action.BROWSE: _browse,
    Action.READ: _read,
    Action.CREATE: _create,
    Action.UPDATE: _update,
    Action.DELETE: _delete,
    Action.PAGE: draw_page,
    Action.KINDS: lambda pipeline, operation: {"kinds": {"kinds": describe_kinds()}},
}


def _allowed(settings: Settings, operation: Operation, *, browsing: bool = False) -> SourceConfig:
    """The configuration in the request, when the caller may connect to all of what it names.

    Of a caller with allow-lists it is `restricted`: they hold wherever something is opened.
    """
    config = parse_definition(str(operation.request.get("definition", "")), browsing=browsing)
    if operation.unrestricted:
        return config
    require_allowed(config, operation.tenant, settings.source_allowances.get(operation.tenant))
    return config.model_copy(update={"restricted": True})


def _definition(operation: Operation) -> str:
    """The text to write; of a caller with allow-lists it says that they apply in every run."""
    text = str(operation.request.get("definition", ""))
    return text if operation.unrestricted else restrict_definition(text)


def _existing(settings: Settings, operation: Operation) -> tuple[SourceFile, str]:
    """The file of the source and its tenant. Another tenant's is not found for a caller with allow-lists."""
    file = SourceFolder(settings.effective_sources_dir).find(operation.source)
    try:
        tenant = parse_definition(file.text).tenant
    except RagError:
        # A wrong file says nothing about its tenant that could be trusted.
        if not operation.unrestricted:
            raise
        tenant = operation.tenant
    if not operation.unrestricted and tenant != operation.tenant:
        raise NotFound(Reason.SOURCE_NOT_FOUND, f"no source file defines {operation.source!r}; see `rag source list`")
    return file, tenant


def _require_writable(pipeline: Pipeline, config: SourceConfig, operation: Operation) -> None:
    """Refuse a source of an erased tenant, and one that cannot be read now, unless that is wanted; a missing folder is
    always refused."""
    with pipeline.store.engine.connect() as connection:
        tenants.require_not_erased(connection, config.tenant)
    unchecked = operation.request.get("unchecked")
    require_readable(config, None if unchecked else check_source(config, pipeline.settings))


def describe_file(file: SourceFile) -> dict[str, Any]:
    """A source file as the API describes it."""
    described = {"name": file.file, "text": file.text, "digest": file.digest, "written": file.written}
    return described | ({"mergeRequest": file.merge_request} if file.merge_request else {})
