"""Look for secrets in the checkout, in every version the history holds, and in the wheel that is built from it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Forms that are secrets wherever they stand. Guessing by entropy would report every lock and every hash.
KINDS = {
    "private key": rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{40}",
    "signed token": rb"eyJ(?:(?!eyJ)[\w-]){20,}\.eyJ[\w-]{20,}+\.[\w-]{20,}",
    "AWS key": rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "GitHub token": rb"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    "GitLab token": rb"\bgl(?:pat|dt|rt|ptt|cbt)-[\w-]{20,}",
    "Slack token": rb"\bxox[abprs]-[A-Za-z0-9-]{20,}",
    "Google key": rb"\bAIza[\w-]{35}\b",
    "model provider key": rb"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
}
_ANY = re.compile(b"|".join(b"(%s)" % pattern for pattern in KINDS.values()))
Named = tuple[str, bytes]


def kinds(content: bytes) -> list[str]:
    """What kinds of secret this holds."""
    names = list(KINDS)
    return sorted({names[match.lastindex - 1] for match in _ANY.finditer(content) if match.lastindex})


def checkout(root: Path) -> Iterator[Named]:
    """Tracked files as they are on disk."""
    for name in _git(root, "ls-files", "-z").decode().split("\0"):
        if name and (root / name).is_file():
            yield name, (root / name).read_bytes()


def history(root: Path) -> Iterator[Named]:
    """Every version of every file that any ref leads to."""
    listed = [line.split(b" ", 1) for line in _git(root, "rev-list", "--objects", "--all").splitlines() if b" " in line]
    names = {sha: name.decode() for sha, name in listed}
    output = _git(root, "cat-file", "--batch", stdin=b"".join(sha + b"\n" for sha in names))
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        sha, kind, size = output[at:end].split()
        content = output[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
        if kind == b"blob":
            yield f"{names[sha]} ({sha[:10].decode()})", content


def wheel(root: Path) -> Iterator[Named]:
    """What an installation of this checkout would hold."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "uv",
            "build",
            "--quiet",
            "--wheel",
            "--no-build-isolation",
            "--python",
            sys.executable,
            "-o",
            folder,
        ]
        uv = Path(sys.executable).parent / command[0]
        subprocess.run([str(uv), *command[1:], str(root)], check=True)
        for path in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path.name}: {name}", archive.read(name)


def report(places: Iterable[Named]) -> list[str]:
    """A line for each place that holds a secret; never the secret."""
    return [f"{name}: {kind}" for name, content in places for kind in kinds(content)]


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["git", *arguments], cwd=root, input=stdin, capture_output=True, check=True).stdout


def main() -> int:
    versioned = (checkout, history) if (ROOT / ".git").exists() else ()  # an unpacked archive has neither
    found = [line for places in (*versioned, wheel) for line in report(places(ROOT))]
    print(*found, sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
