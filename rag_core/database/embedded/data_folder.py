"""The data folder of the embedded server: create it atomically, check it, and clean up after a crash."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from rag_core.database.embedded.account import ServerAccount
from rag_core.errors import Conflict, Exhausted, Reason, Unavailable
from rag_core.files import replace_file

MAJOR = "18"
_SUPERUSER = "postgres"
_COMPLAINT = re.compile(r"(?:LOG|ERROR|FATAL|error):.*")
_PROC = Path("/proc")
_RUN_SECONDS = 600
"""Reached by a hang alone: a busy or emulated machine takes minutes to make a database folder."""
# The superuser cannot connect over TCP; the platform's role may use every database, from this machine only.
_HBA = """\
# TYPE  DATABASE  USER  ADDRESS       METHOD
local   all       {role}                trust
host    all       {role}  127.0.0.1/32  trust
"""

_OWNER_HBA = """\
host    all       {owner}  127.0.0.1/32  scram-sha-256
"""

_GIVE_SCHEMA = """
DO $$ DECLARE one record; BEGIN
FOR one IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'rag' AND c.relkind IN ('r', 'p', 'v', 'm')
LOOP EXECUTE format('ALTER TABLE %s OWNER TO {owner}', one.name); END LOOP;
FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'rag'
LOOP EXECUTE format('ALTER ROUTINE %s OWNER TO {owner}', one.name); END LOOP;
IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'rag') THEN ALTER SCHEMA rag OWNER TO {owner}; END IF;
END $$
"""


def environment() -> dict[str, str]:
    """The environment of the server programs: nothing is inherited, so no secret or locale of the caller leaks."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def create(
    place: Path, bin_dir: Path, account: ServerAccount, *, role: str, databases: tuple[str, ...], sync: bool = True
) -> None:
    """Create a cluster with its role and databases beside `place`, then move it there: a crash leaves no partial one.

    Raises `Conflict` (`HOME_IN_USE`) when `place` is not empty, `Unavailable` (`START_FAILED`), `Exhausted`.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise Conflict(
            Reason.HOME_IN_USE, "the database folder holds other files; choose another RAG_HOME or move them"
        )
    for leftover in place.parent.glob(f".{place.name}.*.new"):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = place.with_name(f".{place.name}.{uuid.uuid4().hex}.new")
    staging.mkdir(mode=0o700)
    if account.uid is not None and account.gid is not None:
        os.chown(staging, account.uid, account.gid)
    # C.UTF-8 of the built-in provider sorts the same on every machine and with every libc.
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    arguments = ["-D", str(staging), "-U", _SUPERUSER, "--auth=reject", *locale, *([] if sync else ["--no-sync"])]
    _run([str(bin_dir / "initdb"), *arguments], account)
    # The schema is named like the role, and would be the default of every connection without the second line.
    statements = [
        f"CREATE ROLE {role} LOGIN CREATEDB",
        f"ALTER ROLE {role} SET search_path = public",
        *(f"CREATE DATABASE {name} OWNER {role}" for name in databases),
    ]
    single = [str(bin_dir / "postgres"), "--single", "-D", str(staging), *([] if sync else ["-F"]), "postgres"]
    _run(single, account, "\n".join(statements) + "\n")
    with (staging / "pg_hba.conf").open("w") as rules:
        rules.write(_HBA.format(role=role))
        rules.flush()
        os.fsync(rules.fileno())
    with contextlib.suppress(FileNotFoundError):
        place.rmdir()  # an empty folder that another program created
    staging.rename(place)


def separate_owner(place: Path, bin_dir: Path, account: ServerAccount, secret: Path, *, role: str, owner: str) -> None:
    """Make `owner` the owner of the database `rag` and everything in it, with a password stored in `secret`.

    The server must not run. Idempotent; the next call repairs what a crash left incomplete.
    """
    rules = place / "pg_hba.conf"
    if secret.exists() and f" {owner} " in rules.read_text():
        return
    password = secrets.token_urlsafe(32)
    single = [str(bin_dir / "postgres"), "--single", "-D", str(place)]
    # In single-user mode each line is a statement. Dagster's tables, in `public`, still belong to the services' role.
    statements = [
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{owner}') THEN CREATE ROLE {owner}; "
        "END IF; END $$",
        f"ALTER ROLE {owner} LOGIN CREATEDB PASSWORD '{password}'",
        f"ALTER ROLE {owner} SET search_path = public",
        f"ALTER DATABASE rag OWNER TO {owner}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}",
        " ".join(_GIVE_SCHEMA.format(owner=owner).split()),
    ]
    _run([*single, "rag"], account, "\n".join(statements) + "\n")
    if (addition := _OWNER_HBA.format(owner=owner)) not in (present := rules.read_text()):
        replace_file(rules, (present + addition).encode(), mode=0o600)
    os.chown(rules, place.stat().st_uid, place.stat().st_gid)
    secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(secret, password.encode(), mode=0o600)


def check_version(place: Path) -> None:
    """Raise `Conflict` (`DATABASE_VERSION`) when another major version of PostgreSQL wrote the folder."""
    found = (place / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise Conflict(
            Reason.DATABASE_VERSION,
            f"the database folder was written by PostgreSQL {found}, this is {MAJOR}; "
            "dump it with the old version and load it into a new RAG_HOME",
        )


def clear_crash(place: Path, *, timeout: float) -> None:
    """Wait for orphans of a killed server, and remove a pid file whose process id now belongs to another program.

    Raises `Conflict` (`HOME_IN_USE`) when a server runs on the folder.
    """
    pid_file = place / "postmaster.pid"
    pid = _recorded_pid(pid_file)
    if pid is not None and _is_server(pid, place):
        raise Conflict(Reason.HOME_IN_USE, "a PostgreSQL server is already running on this RAG_HOME")
    deadline = time.monotonic() + timeout
    while any(_servers(place)):
        if time.monotonic() > deadline:
            raise Conflict(Reason.HOME_IN_USE, "processes of a killed PostgreSQL server still use this RAG_HOME")
        time.sleep(0.05)
    if pid is not None and _alive(pid):
        # PostgreSQL would refuse to start: it checks only that the process id is in use.
        pid_file.unlink(missing_ok=True)


def _recorded_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_server(pid: int, place: Path) -> bool:
    if not _PROC.is_dir():  # without /proc the process id is the only evidence
        return _alive(pid)
    return _working_folder(pid) == place and not _is_zombie(pid)


def _servers(place: Path) -> Iterator[int]:
    if not _PROC.is_dir():
        return
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and _is_server(int(entry.name), place):
            yield int(entry.name)


def _working_folder(pid: int) -> Path | None:
    # Every process of a server has the data folder as its working directory.
    try:
        return (_PROC / str(pid) / "cwd").readlink()
    except OSError:
        return None


def _is_zombie(pid: int) -> bool:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True


def _run(argv: list[str], account: ServerAccount, stdin: str = "") -> None:
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            env=environment(),
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[] if account.uid is not None else None,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            Reason.START_FAILED, f"{Path(argv[0]).name} could not run ({type(error).__name__})"
        ) from error
    if "No space left on device" in done.stderr:
        raise Exhausted(Reason.STORAGE_FULL, "the disk is full; free space and start again")
    # A statement that fails in single-user mode still exits 0.
    if done.returncode != 0 or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        why = _why(done.stderr)
        raise Unavailable(Reason.START_FAILED, f"{Path(argv[0]).name} failed while preparing the database folder{why}")


def _why(output: str) -> str:
    """Return the first complaint, with the line before it. The statement itself, which may hold a password, is none."""
    found = [match.group() for match in _COMPLAINT.finditer(output)]
    first = next((at for at, line in enumerate(found) if not line.startswith("LOG:")), None)
    return "" if first is None else ": " + "; ".join(found[max(first - 1, 0) : first + 1])
