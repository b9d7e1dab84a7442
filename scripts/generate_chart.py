"""Generate values.yaml, values.schema.json and files/ of helm/rag-platform; --check lints, renders and compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ragctl.chart import writer

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if not parser.parse_args().check:
        writer.write(ROOT)
        return 0
    old = writer.stale(ROOT)
    if old:
        print("out of date, run `make generate`:", *old, sep="\n  ", file=sys.stderr)
    return bool(old)


if __name__ == "__main__":
    sys.exit(main())
