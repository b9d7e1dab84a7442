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
    parser.add_argument("--package", metavar="FOLDER", help="check, then pack the chart into this folder")
    arguments = parser.parse_args()
    if arguments.package:
        return check() or package(arguments.package)
    if not arguments.check:
        writer.write(ROOT)
        return 0
    return check()


def check() -> int:
    """Compare, lint and render; the exit code."""
    old = writer.stale(ROOT)
    if old:
        print("out of date, run `make generate`:", *old, sep="\n  ", file=sys.stderr)
    return bool(old or broken_presets())


def package(folder: str) -> int:
    """Pack the chart; the exit code."""
    import helm_python

    Path(folder).mkdir(parents=True, exist_ok=True)
    with helm_python.Chart.load(writer.chart(ROOT)) as chart:
        print(chart.save(folder))
    return 0


def broken_presets() -> list[str]:
    """Presets that do not lint and render with what an installation must add."""
    import helm_python

    sys.path.insert(0, str(ROOT))
    from tests.support.chart import CHART, PRESETS, render, values

    broken = []
    for preset in PRESETS:
        report = helm_python.lint(CHART, values(preset), strict=True, namespace="rag")
        problems = [message["error"] for message in report["messages"] if message["severity"] >= 2]
        if problems or not render(values(preset)):
            print(f"{preset}:", *problems, sep="\n  ", file=sys.stderr)
            broken.append(preset)
    return broken


if __name__ == "__main__":
    sys.exit(main())
