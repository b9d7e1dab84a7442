"""Ask the advisory database about every locked package, but for what requirements/audit-allow.toml excuses.

The database knows wheels by name, not what is compiled inside them: requirements/binaries.toml lists those programs,
engines and models, and this script fails when an entry no longer fits what is locked, or was last reviewed long ago.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = ROOT / "requirements" / "audit-allow.toml"
LOCKS = ("runtime.txt", "bootstrap.txt", "build.txt")
_LONGEST = datetime.timedelta(days=180)
_REVIEW = datetime.timedelta(days=92)
BINARIES = ROOT / "requirements" / "binaries.toml"


def excused(text: str, today: datetime.date) -> list[str]:
    """Identifiers that are excused today. Raises `ValueError` for an entry without reason, or with a distant date."""
    entries: list[dict[str, Any]] = tomllib.loads(text).get("allow", [])
    for entry in entries:
        if not (entry.get("id") and entry.get("reason") and isinstance(entry.get("until"), datetime.date)):
            raise ValueError(f"an entry needs id, until (a date) and reason: {entry}")
        if entry["until"] > today + _LONGEST:
            raise ValueError(f"{entry['id']}: at most {_LONGEST.days} days ahead")
    return [entry["id"] for entry in entries if entry["until"] >= today]


def binaries() -> list[dict[str, Any]]:
    """The entries of requirements/binaries.toml: what comes compiled inside a wheel."""
    entries: list[dict[str, Any]] = tomllib.loads(BINARIES.read_text("utf-8"))["binary"]
    return entries


def outdated(entry: dict[str, Any], lock: str, today: datetime.date) -> list[str]:
    """What is no longer true of an entry: its locked version, its file's checksum, its review."""
    wheel, pinned = entry["wheel"], entry["wheel_version"]
    problems = []
    if not re.search(rf"(?m)^{re.escape(wheel)}=={re.escape(pinned)}(?!\S)", lock):
        problems.append(f"{entry['name']}: {wheel} is not locked at {pinned}; review the new version")
    if digest(wheel, entry["file"]) != entry["sha256"]:
        problems.append(f"{entry['name']}: {entry['file']} has another checksum, or is not installed (`make setup`)")
    if entry["reviewed"] + _REVIEW < today:
        problems.append(f"{entry['name']}: last reviewed on {entry['reviewed']}; read {entry['advisories']}")
    return problems


def digest(wheel: str, file: str) -> str | None:
    """The SHA-256 of an installed wheel's file, `None` when it is not there."""
    try:
        path = Path(str(importlib.metadata.distribution(wheel).locate_file(file)))
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError):
        return None


def main() -> int:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    lock = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
    problems = [problem for entry in binaries() for problem in outdated(entry, lock, today)]
    for entry in binaries():
        print(f"{entry['name']} {entry['version']}: reviewed {entry['reviewed']}. {entry['finding']}")
    print(*problems, sep="\n", file=sys.stderr)
    return ask_database(today) or bool(problems)


def ask_database(today: datetime.date) -> int:
    """Run pip-audit over the locks; its exit code."""
    ignored = [part for name in excused(ALLOWED.read_text("utf-8"), today) for part in ("--ignore-vuln", name)]
    uv = str(Path(sys.executable).parent / "uv")
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        subprocess.run([uv, "venv", "--quiet", folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes"]
        subprocess.run([*install, "-r", str(ROOT / "requirements" / "audit.txt")], check=True)
        locks = [part for name in LOCKS for part in ("-r", str(ROOT / "requirements" / name))]
        # Strict: a package that the database could not be asked about has not been found to be free of anything.
        command = [python, "-m", "pip_audit", "--strict", "--require-hashes", "--disable-pip", *ignored, *locks]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
