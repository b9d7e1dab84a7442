"""`rag backup`: database, secrets, sources and erasure ledger into one file, while the stack runs, and
which small files these are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rag_core.database import HEAD
from rag_core.database.embedded.server import running_database
from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.packages import DISTRIBUTION
from rag_core.settings import Settings
from ragctl.backup.archive import DATABASE, FILES, BackupWriter, Manifest, pack
from ragctl.backup.database import dump
from ragctl.local_stack.data_dir import DataDir


def folders(settings: Settings, data_dir: DataDir) -> dict[str, Path]:
    """Folders with small files, by their name in the archive."""
    return {
        "secrets": data_dir.secrets,
        "sources": settings.effective_sources_dir,
        "golden": settings.effective_golden_dir,
        "questions": settings.effective_questions_dir,
    }


def single_files(settings: Settings, data_dir: DataDir) -> dict[str, Path]:
    """Single files, by their name in the archive."""
    return {"stack.env": data_dir.env_file, "erasures.jsonl": settings.erasure_ledger}


def small_files(settings: Settings, data_dir: DataDir) -> Iterator[tuple[str, Path]]:
    """Yield every file that a backup holds, with its name in the archive."""
    for name, folder in folders(settings, data_dir).items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".lock":
                yield f"{name}/{path.relative_to(folder).as_posix()}", path
    for name, path in single_files(settings, data_dir).items():
        if path.is_file():
            yield name, path


def target_of(name: str, settings: Settings, data_dir: DataDir) -> Path | None:
    """Return where a file of an archive belongs; `None` for one that this release does not know."""
    if path := single_files(settings, data_dir).get(name):
        return path
    first, _, rest = name.partition("/")
    folder = folders(settings, data_dir).get(first)
    return folder / rest if folder is not None and rest else None


MIN_KEY_CHARS = 32
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class BackupResult:
    """Description of the file that was written."""

    file: str
    bytes: int
    database: bool
    files: int
    encrypted: bool

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def make_backup(
    settings: Settings, data_dir: DataDir, target: Path, *, key: bytes | None, database: bool, progress: Progress
) -> BackupResult:
    """Write the backup. The ledger is read last: it must not be older than the database.

    Raises `ConfigError` where there is no local stack, `InvalidInput` for a target that cannot be, `Exhausted`
    (`STORAGE_FULL`), `Unavailable` (`DATABASE_UNAVAILABLE`).
    """
    _require_target(target, data_dir)
    _require_stack(settings, data_dir, database=database)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(platform=version(DISTRIBUTION), schema=HEAD, made_at=made_at, database=database)
    with BackupWriter(target, manifest, key) as writer:
        if database:
            with running_database(settings):
                writer.add(DATABASE, _reported(dump(settings), progress))
        files = list(small_files(settings, data_dir))
        writer.add(FILES, iter([pack(files)]))
    return BackupResult(str(target), target.stat().st_size, database, len(files), key is not None)


def read_key(path: Path | None) -> bytes | None:
    """Return the key in a file. Raises `InvalidInput` (`UNREADABLE`) or `ConfigError` (`SECRET_WEAK`)."""
    if path is None:
        return None
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise InvalidInput(Reason.UNREADABLE, f"{path}: {error.strerror}") from None
    if len(key) < MIN_KEY_CHARS:
        message = f"{path}: a key has at least {MIN_KEY_CHARS} characters; `openssl rand -hex 32` makes one"
        raise ConfigError(Reason.SECRET_WEAK, message)
    return key


def _reported(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        done += len(chunk)
        progress(done, None)
        yield chunk


def _require_target(target: Path, data_dir: DataDir) -> None:
    if target.exists():
        raise InvalidInput(Reason.USAGE, f"{target} exists: name another file, or remove it")
    if target.absolute().resolve().is_relative_to(data_dir.root.resolve()):
        raise InvalidInput(Reason.USAGE, f"{target} is inside RAG_HOME and would be lost with it: name another folder")


def _require_stack(settings: Settings, data_dir: DataDir, *, database: bool) -> None:
    if database and settings.database_url is not None:
        raise ConfigError(
            Reason.CONFIG_INVALID,
            "the database is a server of its own (RAG_DATABASE_URL): back it up with its tools, and the rest with "
            "--no-database",
        )
    if database and not (settings.postgres_dir / "PG_VERSION").exists():
        raise ConfigError(Reason.CONFIG_INVALID, f"there is no stack in {data_dir.root}: set RAG_HOME to its folder")
