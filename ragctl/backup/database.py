"""The database of a backup: pg_dump and pg_restore of the packaged PostgreSQL, over pipes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress

import psycopg

from rag_core.database import roles
from rag_core.database.embedded.server import ROLE, EmbeddedPostgres
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.settings import Settings

_CHUNK = 1 << 20
_SCHEMA, _DAGSTER = "rag", "public"


def dump(settings: Settings) -> Iterator[bytes]:
    """Yield a dump of the database, consistent while others write. Raises `Unavailable` (`DATABASE_UNAVAILABLE`)."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*_program(settings, "pg_dump", ROLE), "-Fc"], stdout=subprocess.PIPE, stderr=errors, env=_environment()
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101
        while chunk := process.stdout.read(_CHUNK):
            yield chunk
        if process.wait() != 0:
            errors.seek(0)
            raise Unavailable(Reason.DATABASE_UNAVAILABLE, f"pg_dump: {_last_line(errors.read())}; is the stack up?")


def load(server: EmbeddedPostgres, settings: Settings, read: Iterator[Iterator[bytes]]) -> None:
    """Load a dump into a new database. `read` yields it from its beginning, once for each of the two owners.

    Raises `InvalidInput` (`BACKUP_INVALID`) when PostgreSQL refuses it.
    """
    url = server.owner_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    password = psycopg.conninfo.conninfo_to_dict(url)["password"]
    _restore(settings, roles.OWNER, _SCHEMA, next(read), str(password))
    _restore(settings, ROLE, _DAGSTER, next(read), "")


def _restore(settings: Settings, role: str, schema: str, chunks: Iterable[bytes], password: str) -> None:
    options = ["--no-owner", "--exit-on-error", "--schema", schema]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*_program(settings, "pg_restore", role), *options],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=_environment(PGPASSWORD=password),
        ) as process,
    ):  # fmt: skip
        assert process.stdin is not None  # noqa: S101
        for chunk in chunks:
            with suppress(BrokenPipeError):  # it has ended, and its exit code says how
                process.stdin.write(chunk)
        with suppress(BrokenPipeError):
            process.stdin.close()
        if process.wait() != 0:
            errors.seek(0)
            raise InvalidInput(Reason.BACKUP_INVALID, f"pg_restore: {_last_line(errors.read())}")


def _program(settings: Settings, name: str, role: str) -> list[str]:
    where = ["-h", "127.0.0.1", "-p", str(settings.postgres_port), "-U", role, "-d", "rag"]
    return [str(EmbeddedPostgres.programs() / name), *where]


def _environment(**own: str) -> dict[str, str]:
    """Nothing of the caller that libpq reads."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **own}


def _last_line(text: bytes) -> str:
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it gave no reason"
