"""`rag source edit`, `pause` and `resume`: what the console's page *Sources* does, in a terminal."""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rag_core.errors import ConfigError, InvalidInput, RagError, Reason
from ragctl.commands._shared import actor, confirmed, quiet, transaction
from ragctl.output import Json, emit, emit_json, note, say

if TYPE_CHECKING:
    from rag_assets.source_admin import SourceFile
    from rag_assets.source_config import SourceConfig
    from rag_core.settings import Settings


def edit(
    name: str,
    /,
    *,
    file: Annotated[Path | None, Parameter(name=("--file", "-f"))] = None,
    unchecked: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="")] = False,
    json: Json = False,
) -> Reason | None:
    """Change the file of a source in $EDITOR: the result is checked, tested, shown as a diff and written.

    Example: rag source edit handbook

    Parameters
    ----------
    file
        Take the new text from this file instead of an editor; `-` is standard input.
    unchecked
        Also when it cannot be read now; a folder that does not exist is always refused.
    dry_run
        Check and show the difference, and write nothing.
    yes
        Write without asking.
    """
    from rag_assets.source_admin import SourceFolder, parse_definition
    from rag_core.settings import Settings

    settings = Settings.load()
    folder = SourceFolder(settings.effective_sources_dir)
    known = folder.find(name)
    text, kept = (_given(file), None) if file is not None else _edited(name, known, json=json)
    result = {"source": name, "file": known.file, "changed": text != known.text, "written": False}
    if text == known.text:
        _finish(result, "nothing was changed", kept, json=json)
        return None
    try:
        config = parse_definition(text)
        _require_readable(config, settings, unchecked=unchecked)
    except RagError:
        if kept is not None:
            note(f"what you wrote is kept in {kept}; correct it and pass it by --file")
        raise
    if not json:
        say("".join(difflib.unified_diff(known.text.splitlines(True), text.splitlines(True), known.file, "new")))
    if dry_run:
        _finish(result, "not written (--dry-run)", kept, json=json)
        return None
    if not (yes or json or confirmed(f"Write {known.file}?")):
        return Reason.CANCELLED
    made = _replace(folder, name, config, text, known)
    result |= {"written": made.written, "merge_request": made.merge_request}
    if made.written:
        said = f"{made.file} is written; the next run uses it"
    elif made.merge_request:
        said = f"The folder of source files is read-only: merge {made.merge_request}"
    else:
        said = f"The folder of source files is read-only: commit the text as {made.file} where it comes from."
    _finish(result, said, kept if made.written or made.merge_request else None, json=json)
    return None


def pause(name: str, /, *, json: Json = False) -> None:
    """Stop the change sensor and the schedule of a source. Runs in progress continue; a sync by hand still works.

    Example: rag source pause handbook
    """
    _switch(name, on=False, json=json)


def resume(name: str, /, *, json: Json = False) -> None:
    """Start the change sensor and the schedule of a source again.

    Example: rag source resume handbook
    """
    _switch(name, on=True, json=json)


def _switch(name: str, *, on: bool, json: bool) -> None:
    from rag_assets.config import find_sources
    from rag_core.governance.audit import audit_store
    from rag_core.settings import Settings
    from ragctl.dagster import dagster_client
    from ragctl.local_stack.ingest import reload_changed

    settings = Settings.load()
    (config,) = find_sources(settings.effective_sources_dir, [name])
    with closing(dagster_client(settings)) as api:
        reload_changed(api, settings)
        known = {automation.kind: automation for automation in api.automations_of(config.key)}
        if not known:
            message = f"source {name!r} has neither a change sensor nor a schedule: there is nothing to pause or resume"
            raise InvalidInput(Reason.SOURCE_NOT_ALLOWED, message)
        wanted = {kind: automation for kind, automation in known.items() if automation.running is not on}
        if wanted:
            with transaction() as connection:
                action = "dagster.resume" if on else "dagster.pause"
                audit_store.record(connection, actor=actor(), action=action, target=name,
                                   details={"tenant": config.tenant})  # fmt: skip
        for automation in wanted.values():
            api.switch(automation, on=on)
    if json:
        emit_json({"source": name, "paused": not on, "switched": sorted(wanted)})
        return
    state = "running" if on else "paused"
    parts = " and ".join(sorted(known))
    say(f"{name} is {state}: its {parts} {'are' if len(known) > 1 else 'is'} {'on' if on else 'off'}"
        + ("" if wanted else " already"))  # fmt: skip


def _given(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(Reason.USAGE, f"--file {file}: {error}") from None


def _edited(name: str, known: SourceFile, *, json: bool) -> tuple[str, Path | None]:
    """The text after the editor has ended, and the file that it edited."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if json or not sys.stdin.isatty():
        raise ConfigError(Reason.USAGE, "there is no terminal for an editor: give the new text by --file PATH or -f -")
    if not editor:
        raise ConfigError(Reason.USAGE, "no editor is named: set EDITOR, or give the new text by --file PATH")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix=f"{name}-", suffix=".yaml", delete=False) as copy:
        copy.write(known.text)
    path = Path(copy.name)
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        path.unlink()
        raise ConfigError(Reason.USAGE, f"the editor {editor!r} failed; set EDITOR, or use --file PATH") from None
    return _given(path), path


def _require_readable(config: SourceConfig, settings: Settings, *, unchecked: bool) -> None:
    from rag_assets.source_admin import check_source, require_readable

    with quiet():
        check = None if unchecked else check_source(config, settings)
    require_readable(config, check, " (--unchecked writes it all the same)")


def _replace(folder: Any, name: str, config: SourceConfig, text: str, known: SourceFile) -> SourceFile:
    """Write the file; the audit entry is committed with it."""
    from rag_assets.source_admin import propose
    from rag_core.governance.audit import audit_store
    from rag_core.settings import Settings

    with transaction() as connection:
        replaced: SourceFile = folder.replace(name, config, text, known.digest)
        made = propose(Settings.load(), replaced, new=False, actor=actor())
        details = {"tenant": config.tenant, "kind": config.options.kind, "written": made.written}
        audit_store.record(connection, actor=actor(), action="source.update", target=name, details=details)
    return made


def _finish(result: dict[str, Any], said: str, kept: Path | None, *, json: bool) -> None:
    if kept is not None:
        kept.unlink(missing_ok=True)
    emit(result, said, json=json)
