"""`digest-values.py FOLDER REGISTRY`: chart values with the digests that BuildKit wrote to FOLDER/ROLE.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROLES = ("dagster", "query", "stream", "console")


def main(folder: str, registry: str) -> None:
    """Print the values as YAML."""
    print(f"images:\n  registry: {registry}")
    for role in ROLES:
        print(f"  {role}: {json.loads((Path(folder) / f'{role}.json').read_text('utf-8'))['containerimage.digest']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
