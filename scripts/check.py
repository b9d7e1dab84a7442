"""Run every check of `make check`, all of them even when one fails, and list the failed ones at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS: list[tuple[str, list[str]]] = [
    ("format", ["ruff", "format", "--check", "--quiet", "."]),
    ("lint", ["ruff", "check", "--quiet", "."]),
    ("types", ["mypy"]),
    ("imports", ["lint-imports"]),
    ("dependencies", ["deptry", "."]),
    ("yaml", ["yamllint", "--strict", "."]),
    ("generated code", ["python", "scripts/generate_protos.py", "--check"]),
    ("reference docs", ["python", "scripts/generate_docs.py", "--check"]),
    ("openapi", ["python", "scripts/generate_openapi.py", "--check"]),
    ("python client", ["python", "scripts/generate_client.py", "--check"]),
    ("catalogues", ["python", "scripts/generate_catalogues.py", "--check"]),
    ("monitoring", ["python", "scripts/generate_monitoring.py", "--check"]),
    ("version", ["python", "scripts/generate_version.py", "--check"]),
    ("chart", ["python", "scripts/generate_chart.py", "--check"]),
    ("dockerfile", ["hadolint", "deploy/Dockerfile"]),
    ("links", ["python", "scripts/check_links.py"]),
    ("docs site", ["python", "scripts/build_docs.py"]),
    ("words", ["python", "scripts/check_words.py"]),
    ("secrets", ["python", "scripts/check_secrets.py"]),
]


def run(name: str, command: list[str]) -> bool:
    """Run one check from the environment's own bin folder and print its output only when it fails."""
    started = time.monotonic()
    result = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    mark = "ok  " if result.returncode == 0 else "FAIL"
    print(f"{mark} {name:<16} {time.monotonic() - started:5.1f} s", flush=True)
    if result.returncode:
        print(result.stdout + result.stderr, flush=True)
    return result.returncode == 0


def system_checks() -> list[tuple[str, list[str]]]:
    """Checks by programs that no package index has; each is left out, and says so, where the program is missing."""
    tests = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "deploy/prometheus/tests").glob("*.test.yaml"))
    wanted = [("alert rules", ["promtool", "test", "rules", *tests])]
    found = []
    for name, command in wanted:
        path = shutil.which(command[0])
        if path is None:
            print(f"skip {name:<16} {command[0]} is not installed", flush=True)
        else:
            found.append((name, [path, *command[1:]]))
    return found


def proto_checks() -> list[tuple[str, list[str]]]:
    """buf on descriptor images, because it cannot fetch googleapis: lint now, breaking against the last tag or main."""
    work = Path(tempfile.mkdtemp(prefix="rag-buf-"))
    image = work / "now.binpb"
    checks = [
        ("proto image", ["python", "scripts/generate_protos.py", "--image", str(image)]),
        ("proto lint", ["buf", "lint", str(image), "--config", "buf.yaml"]),
    ]
    base = baseline()
    if base:
        checkout = work / "base"
        checkout.mkdir()
        archive = subprocess.run(["git", "archive", base, "proto"], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode == 0:
            subprocess.run(["tar", "-x", "-C", str(checkout)], input=archive.stdout, check=True)
            old = work / "base.binpb"
            checks.append(
                (
                    "proto baseline",
                    ["python", "scripts/generate_protos.py", "--image", str(old), "--sources", str(checkout / "proto")],
                )
            )
            checks.append(
                ("proto breaking", ["buf", "breaking", str(image), "--against", str(old), "--config", "buf.yaml"])
            )
    return checks


def baseline() -> str | None:
    """The last release tag, which clients in the field were built against; before the first release where a merge
    request's branch began, and none without one."""
    if shutil.which("git") is None:
        return None
    result = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "--match", "v*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or os.environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA") or None


def main() -> int:
    """Run the checks that are named, all but those named with a dash before it, or all."""
    checks = [*CHECKS, *system_checks(), *proto_checks()]
    names = {name for name, _ in checks}
    left_out = {name[1:] for name in sys.argv[1:] if name.startswith("-")}
    wanted = {name for name in sys.argv[1:] if not name.startswith("-")}
    unknown = (left_out | wanted) - names
    if unknown:
        sys.exit(f"no such check: {', '.join(sorted(unknown))}")
    chosen = (wanted or names) - left_out
    failed = [name for name, command in checks if name in chosen and not run(name, command)]
    print("all checks passed" if not failed else f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
