"""Write the version of pyproject.toml into the chart and the client; --check compares, and a tag with it."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = {
    "helm/rag-platform/Chart.yaml": re.compile(r'(?m)^((?:version|appVersion): "?)[^"\n]+'),
    "clients/python/pyproject.toml": re.compile(r'(?m)^(version = ")[^"]+'),
}


def version() -> str:
    """The version of the platform."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--tag", help="a Git tag that must name this version")
    given = parser.parse_args()
    if given.tag and given.tag != f"v{version()}":
        print(f"the tag {given.tag} is not v{version()}, the version in pyproject.toml", file=sys.stderr)
        return 1
    stale = []
    for name, place in PLACES.items():
        before = (ROOT / name).read_text("utf-8")
        after = place.sub(rf"\g<1>{version()}", before)
        if given.check and after != before:
            stale.append(name)
        elif not given.check:
            (ROOT / name).write_text(after, "utf-8")
    if stale:
        print("another version, run `make generate`:", *stale, sep="\n  ", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
