"""Ask the advisory database about every locked package, but for what requirements/audit-allow.toml excuses."""

from __future__ import annotations

import datetime
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


def excused(text: str, today: datetime.date) -> list[str]:
    """Identifiers that are excused today. Raises `ValueError` for an entry without reason, or with a distant date."""
    entries: list[dict[str, Any]] = tomllib.loads(text).get("allow", [])
    for entry in entries:
        if not (entry.get("id") and entry.get("reason") and isinstance(entry.get("until"), datetime.date)):
            raise ValueError(f"an entry needs id, until (a date) and reason: {entry}")
        if entry["until"] > today + _LONGEST:
            raise ValueError(f"{entry['id']}: at most {_LONGEST.days} days ahead")
    return [entry["id"] for entry in entries if entry["until"] >= today]


def main() -> int:
    ignored = [
        part
        for name in excused(ALLOWED.read_text("utf-8"), datetime.datetime.now(tz=datetime.UTC).date())
        for part in ("--ignore-vuln", name)
    ]
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
