"""`rag bench generations` in small, with every process real: build, gate, move there, back and there again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import generations
from rag_core.settings import Settings
from tests.support.models import model_home  # noqa: F401

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
COUNTED = (
    "queries that failed",
    "answers of two generations",
    "edits lost",
    "edits refused",
    "findings of rag verify",
    "slowest rollback, s",
)
"""What must hold however loaded the machine is; the latencies are the benchmark's."""


def test_a_round_under_queries_and_edits_fail_mix_and_lose_nothing(tmp_path: Path, model_home: Path) -> None:  # noqa: F811
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(model_home / "models")
    sizes = generations.Sizes(chunks=600, rate=20, edits=4, rounds=1, idle_seconds=2)
    report = generations.run(Settings(home=home, embedder="fake"), sizes, progress=lambda done, total: None)
    missed = [target for target in report.targets if target.what in COUNTED and not target.met]
    assert not missed, report.notes
    assert {target.what for target in report.targets} > set(COUNTED)
