"""The page that adds the code location to a Dagster that is already there, tried with the workspace that it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
COMPANY = """
import dagster as dg

@dg.asset
def sales() -> None: ...

defs = dg.Definitions(assets=[sales])
"""


def test_the_workspace_of_the_page_loads_the_location_beside_those_of_a_company(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/add-to-your-dagster.md").read_text("utf-8")
    workspace = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    workspace["load_from"][1]["python_module"]["executable_path"] = sys.executable
    (tmp_path / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    (tmp_path / "company.py").write_text(COMPANY)
    dagster = Path(sys.executable).with_name("dagster")
    environment = {**os.environ, "RAG_HOME": str(tmp_path / "home"), "RAG_SOURCES_DIR": str(tmp_path / "sources")}
    result = subprocess.run(
        [dagster, "definitions", "validate", "-w", "workspace.yaml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Validation successful for code location rag" in result.stdout + result.stderr
