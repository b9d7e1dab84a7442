"""Generate `ragproto/` from `proto/`: messages, typed stubs, service stubs and the descriptor set Envoy transcodes with.

Run it after a change to a .proto file (`make generate`). With --check it writes nothing and fails when the committed
files differ from what it would write.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from filecmp import cmp
from importlib.resources import files
from pathlib import Path

from google.api import annotations_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"


def generate(target: Path) -> None:
    """Write the generated package below `target`."""
    protos = sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.proto"))
    # google.api is a namespace package, so its folder is found through one of its modules.
    includes = [SOURCES, files("grpc_tools") / "_proto", Path(annotations_pb2.__file__).parents[2]]
    (target / "ragproto").mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        *(f"-I{include}" for include in includes),
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
        f"--descriptor_set_out={target / 'ragproto' / 'descriptors.binpb'}",
        "--include_imports",
        *protos,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    for folder in {Path(proto).parent for proto in protos}:
        for package in (folder, *folder.parents):
            if package != Path("."):
                (target / package / "__init__.py").touch()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if not parser.parse_args().check:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file()}
        stale = [
            str(path)
            for path in sorted(fresh)
            if not (ROOT / path).exists() or not cmp(ROOT / path, Path(folder) / path, shallow=False)
        ]
    if stale:
        print("out of date, run `make generate`:", *stale, sep="\n  ", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
