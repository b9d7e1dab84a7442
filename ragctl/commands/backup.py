"""`rag backup` and `rag restore`: the local stack as one file, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rag_core.errors import Reason
from ragctl.output import Json, emit_json, note, progress_bar, say, table

if TYPE_CHECKING:
    from ragctl.backup.restore import RestoreResult
    from ragctl.local_stack.data_dir import DataDir

KeyFile = Annotated[Path | None, Parameter(name="--key-file")]


def backup(
    file: Path,
    /,
    *,
    key_file: KeyFile = None,
    database: Annotated[bool, Parameter(negative="--no-database")] = True,
    json: Json = False,
) -> None:
    """Write database, secrets, sources and erasure ledger of the local stack to one file, while it runs.

    The file has mode 0600 and holds the secrets of the stack: keep it, and the key, apart from this machine.

    Example: rag backup /mnt/backup/monday.ragbackup --key-file ~/backup.key

    Parameters
    ----------
    file
        File to write; it must not exist.
    key_file
        File with a key of at least 32 characters: the backup is encrypted with it (AES-256-GCM).
    database
        `--no-database` leaves the database out, where a server of its own has its own backups.
    """
    from ragctl.backup.backup import make_backup, read_key
    from ragctl.local_stack.data_dir import load

    key, target = read_key(key_file), file.expanduser()
    with progress_bar("dumping the database (kB)") as progress:
        done = make_backup(
            *load(), target, key=key, database=database, progress=lambda size, _: progress(size >> 10, None)
        )
    if json:
        emit_json(done.to_json())
        return
    what = "the database and " if done.database else ""
    say(
        f"{done.file}: {what}{done.files} files, {max(1, done.bytes >> 10)} kB{', encrypted' if done.encrypted else ''}"
    )


def restore(
    file: Path,
    /,
    *,
    key_file: KeyFile = None,
    ledger: Path | None = None,
    json: Json = False,
) -> Reason | None:
    """Restore a backup into an empty RAG_HOME and start the stack.

    Rebuilds the index, erases again what was erased since, syncs every source, verifies, and says what is not there.

    Example: RAG_HOME=~/restored rag restore /mnt/backup/monday.ragbackup --key-file ~/backup.key

    Parameters
    ----------
    file
        File of `rag backup`.
    key_file
        File with the key of the backup.
    ledger
        A newer erasure ledger than that of the backup (`$RAG_HOME/erasures.jsonl` of the lost machine).
    """
    from ragctl.backup.archive import BackupReader
    from ragctl.backup.backup import read_key
    from ragctl.backup.restore import restore_data
    from ragctl.commands._shared import actor, quiet
    from ragctl.local_stack.data_dir import load

    settings, data_dir = load()
    with BackupReader(file.expanduser(), read_key(key_file)) as reader, quiet():
        found = restore_data(settings, data_dir, reader, ledger=ledger, actor=actor(), step=partial(_step, silent=json))
    if found.database:
        _start(data_dir, found, silent=json)
    _report(found, json=json)
    return Reason.PARTLY_DONE if found.missing or found.verified is False else None


@contextmanager
def _step(name: str, *, silent: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show a step: its progress on a terminal, and how long it took."""
    began = time.monotonic()
    with progress_bar(name) as progress:
        yield progress
    if not silent:
        note(f"  {name:<28} done ({time.monotonic() - began:.1f} s)")


def _start(data_dir: DataDir, found: RestoreResult, *, silent: bool) -> None:
    """Start the stack and bring every source up to date."""
    from ragctl.backup.restore import bring_up_to_date
    from ragctl.local_stack.display import open_display
    from ragctl.local_stack.ingest import Sync
    from ragctl.local_stack.sources import ensure_sources
    from ragctl.local_stack.up import start_stack

    with data_dir.lock(), open_display(silent=silent) as display:
        stack = start_stack(display)
        ensure_sources(stack.settings, data_dir, None)
        with closing(Sync(stack.settings)) as sync:
            jobs = list(sync.jobs.values())
            sync.start(jobs)
            outcomes = sync.wait(jobs, display)
    ended = {one.source: (one.status, one.reason) for one in outcomes}
    with _step("verifying", silent=silent):
        bring_up_to_date(stack.settings, found, ended)


def _report(found: RestoreResult, *, json: bool) -> None:
    if json:
        emit_json(found.to_json())
        return
    say(f"\nRestored the backup of {found.made_at} (release {found.platform}).\n")
    if not found.database:
        say("It has no database: restore yours with its own tools, then `rag index rebuild` and `rag up`.")
        return
    rows = [("documents in the index", found.documents), ("erasures applied again", found.erased_again)]
    table(("what", "how much"), [*rows, *((f"source {name}", status) for name, status in found.sources.items())])
    for line in found.missing:
        say(f"not there: {line}")
    say("verified: rows and index agree" if found.verified else "rows and index differ: `rag verify` says where")
