"""Peers run our embedder in environments of their own, with the packages that are derived for it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from benchmarks.peers.install import ROOT, peer_environment

PEER = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from rag_core.content.embedding import open_embedder
from rag_core.settings import Settings
print(open_embedder(Settings(home=Path(sys.argv[3]), embedder="onnx")).embed_queries(["a question"]).shape)
"""


def test_the_embedder_runs_where_there_are_only_the_packages_that_a_peer_gets(model_home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers.needs", str(model_home)]
    found = subprocess.run(command, env=peer_environment(), capture_output=True, text=True, check=True)
    for line in found.stdout.split():
        package = distribution(line.partition("==")[0])
        for name in {file.parts[0] for file in package.files or ()} - {".."}:
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(str(package.locate_file(name)))
    isolated = [sys.executable, "-I", "-S", "-c", PEER, str(ROOT), str(tmp_path), str(model_home)]
    done = subprocess.run(isolated, env=peer_environment(), capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("(1, 384)", "")
