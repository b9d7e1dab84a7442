"""`rag restore`: a stack in an empty folder from the file of `rag backup`, with one command.

Nobody can ask before the erasures since the backup are applied again: the stack starts after that.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path

from rag_core.database import HEAD, open_store, upgrade
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.errors import ConfigError, Conflict, Exhausted, InvalidInput, NotFound, Reason
from rag_core.files import replace_file
from rag_core.ingestion import erasure, generations, source_status, verify
from rag_core.retrieval import engines
from rag_core.settings import Settings
from ragctl.backup.archive import DATABASE, FILES, BackupReader, storage_checked, unpack
from ragctl.backup.backup import target_of
from ragctl.backup.database import load as load_database
from ragctl.local_stack.data_dir import DataDir, existing_part, load

MARKER = "restore-unfinished"
"""A file in RAG_HOME while a restore is at work: one that was interrupted begins again."""
_DERIVED = frozenset({"models"})
"""Folders that are made from packages: a restore leaves them alone."""
_SPACE = 4
"""The database with its index and its log, in sizes of the compressed dump."""
Progress = Callable[[int, int | None], None]
Step = Callable[[str], AbstractContextManager[Progress]]


@dataclass(slots=True)
class RestoreResult:
    """Report of a restore."""

    made_at: str
    platform: str
    database: bool
    files: int
    documents: int = 0
    erased_again: int = 0
    sources: dict[str, str] = field(default_factory=dict)
    """Status of the sync of each source."""
    missing: list[str] = field(default_factory=list)
    """Sentences on what is not there."""
    verified: bool | None = None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def restore_data(
    settings: Settings, data_dir: DataDir, reader: BackupReader, *, ledger: Path | None, actor: str, step: Step
) -> RestoreResult:
    """Restore files and rows, rebuild the index and apply the erasures. The stack does not run yet.

    Raises `Conflict` (`HOME_NOT_EMPTY`), `InvalidInput` (`BACKUP_INVALID`, `BACKUP_VERSION`), `Exhausted`
    (`STORAGE_FULL`), `ConfigError` for a database that is not the local stack's.
    """
    manifest = reader.manifest
    _require_readable(settings, manifest.schema, database=manifest.database)
    _require_space(data_dir, manifest.sizes.get(DATABASE, 0))
    _require_empty(data_dir)
    with step("checking the file"):
        reader.check()
    with storage_checked():
        _begin(settings, data_dir)
        files = _restore_files(settings, data_dir, reader)
        found = RestoreResult(manifest.made_at, manifest.platform, manifest.database, files)
        if manifest.database:
            settings = _with_own_index(data_dir)
            _restore_rows(settings, data_dir, reader, found, ledger, actor=actor, step=step)
    (data_dir.root / MARKER).unlink()
    return found


def _require_readable(settings: Settings, schema: str, *, database: bool) -> None:
    if schema > HEAD:
        message = f"the backup has the schema {schema}, this release knows {HEAD}: restore it with the release of then"
        raise InvalidInput(Reason.BACKUP_VERSION, message)
    if database and settings.database_url is not None:
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_DATABASE_URL names a server of its own: unset it to restore here")


def _require_space(data_dir: DataDir, dump: int) -> None:
    free = shutil.disk_usage(existing_part(data_dir.root)).free
    if free < dump * _SPACE:
        raise Exhausted(
            Reason.STORAGE_FULL, f"about {dump * _SPACE >> 20} MB are needed, {free >> 20} MB are free: free space"
        )


def _require_empty(data_dir: DataDir) -> None:
    root = data_dir.root
    held = {path.name for path in root.iterdir()} - _DERIVED if root.is_dir() else set()
    if held and MARKER not in held:
        shown = ", ".join(sorted(held)[:3])
        raise Conflict(
            Reason.HOME_NOT_EMPTY, f"{root} holds {shown}: restore into an empty folder (RAG_HOME), or move these away"
        )


def _begin(settings: Settings, data_dir: DataDir) -> None:
    """Remove what an interrupted restore left, and mark this one.

    Raises `Conflict` (`HOME_IN_USE`) while a server of that one still uses the folder.
    """
    if settings.postgres_dir.exists():
        EmbeddedPostgres(settings.postgres_dir, settings.postgres_port).prepare()
    for path in data_dir.root.iterdir() if data_dir.root.is_dir() else ():
        if path.name not in _DERIVED | {MARKER}:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    data_dir.create()
    (data_dir.root / MARKER).touch(mode=0o600)


def _restore_files(settings: Settings, data_dir: DataDir, reader: BackupReader) -> int:
    files = unpack(b"".join(reader.read(FILES)))
    for name, content in files.items():
        if (path := target_of(name, settings, data_dir)) is None or path.exists():
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, content, mode=0o600)
    return len(files)


def _with_own_index(data_dir: DataDir) -> Settings:
    """The restored settings, with the index folder itself: its process does not run."""
    return load(data_dir)[0].model_copy(update={"index_endpoint": None})


def _restore_rows(
    settings: Settings,
    data_dir: DataDir,
    reader: BackupReader,
    found: RestoreResult,
    ledger: Path | None,
    *,
    actor: str,
    step: Step,
) -> None:
    with _server(settings) as server:
        with step("restoring the database") as progress:
            passes = _two_passes(reader, progress)
            load_database(server, settings, passes)
            upgrade(settings)
        with step("rebuilding the index") as progress:
            found.documents = _rebuild(settings, actor, progress)
        with step("applying erasures") as progress:
            found.erased_again = _erase_again(settings, ledger, actor, progress)


def _two_passes(reader: BackupReader, progress: Progress) -> Iterator[Iterator[bytes]]:
    """The dump from its beginning, twice; the second pass shows no progress: it skips most of it."""
    yield reader.read(DATABASE, lambda done, total: progress(done >> 10, total >> 10))
    for _ in repeat(None):
        yield reader.read(DATABASE)


@contextmanager
def _server(settings: Settings) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(settings.postgres_dir, settings.postgres_port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _rebuild(settings: Settings, actor: str, progress: Progress) -> int:
    with closing(open_store(settings)) as store:
        with store.engine.connect() as connection:
            row = generations.store.active(connection)
        if row is None:
            return 0  # nothing was ingested before the backup
        with closing(engines.open_index(settings, repair=True)) as index:
            return verify.rebuild(store, index, str(row.name), actor=actor, progress=progress)


def _erase_again(settings: Settings, ledger: Path | None, actor: str, progress: Progress) -> int:
    from rag_assets.tenants import outside
    from rag_core.ingestion.pipeline import Pipeline

    with Pipeline(settings) as pipeline:
        places = outside(pipeline.store, settings)
        file = ledger or settings.erasure_ledger
        return len(erasure.reapply(pipeline, file, actor=actor, progress=progress, outside=places))


# --------------------------------------------------------------------------------------------------------------------
# After the start of the stack.


def bring_up_to_date(settings: Settings, found: RestoreResult, outcomes: dict[str, tuple[str, str]]) -> None:
    """Note how the syncs ended, verify, and name what is not there."""
    from rag_assets.config import read_sources

    found.sources = {name: status for name, (status, _) in outcomes.items()}
    found.missing = [
        f"source {name} could not be read: {why or status}"
        for name, (status, why) in outcomes.items()
        if status != "SUCCESS"
    ]
    problems = read_sources(settings.effective_sources_dir).problems
    found.missing += [f"source {one.source} is left out: {one}" for one in problems]
    with closing(open_store(settings)) as store:
        with store.engine.connect() as connection:
            found.missing += [
                f"source {one.counts.name} of tenant {tenant}: its file was not in the backup; its "
                f"{one.counts.documents} documents stay searchable"
                for tenant, one in source_status.orphaned(connection)
            ]
        with closing(engines.open_index(settings)) as index:
            try:
                found.verified = verify.verify(store, index, None, self_retrieval="all").sound
            except NotFound:  # no generation yet
                found.verified = True
