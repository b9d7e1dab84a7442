"""The figures of the last run in a file: a run is compared with them, then takes their place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Report, Target
from rag_core.errors import InvalidInput, Reason
from rag_core.files import replace_file

Figures = dict[str, dict[str, float]]
"""What was measured for each target, by benchmark."""


def compare(path: Path, reports: Sequence[Report], worst_ratio: float) -> list[str]:
    """A sentence for each target that is worse than in the file by more than the ratio; then the file has these.

    Raises `InvalidInput` (`FIELD_INVALID`) for a file that holds no figures.
    """
    before = _read(path)
    found = [
        f"{report.name}: {target.what}: {target.measured:.4g}, {last:.4g} in the last run"
        for report in reports
        for target in report.targets
        if (last := before.get(report.name, {}).get(target.what)) is not None and _is_worse(target, last, worst_ratio)
    ]
    now = {report.name: {target.what: target.measured for target in report.targets} for report in reports}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps({**before, **now}, indent=2).encode())
    return found


def _read(path: Path) -> Figures:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        return {name: {what: float(figure) for what, figure in known.items()} for name, known in found.items()}
    except (ValueError, AttributeError, TypeError):
        message = f"{path} holds no figures of a run; remove it, or name another file"
        raise InvalidInput(Reason.FIELD_INVALID, message) from None


def _is_worse(target: Target, last: float, worst_ratio: float) -> bool:
    if target.at_least:
        return last > target.measured * worst_ratio
    if last == 0:  # a count, of which there is no multiple: its limit decides
        return not target.met
    return target.measured > last * worst_ratio
