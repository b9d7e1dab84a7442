"""Generate `ragproto/` from `proto/`: messages, stubs and the descriptor set that Envoy transcodes with.

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
ERROR_DETAILS = "google/rpc/error_details.proto"


def includes(sources: Path) -> list[Path]:
    """Import roots. google.api is a namespace package, so its folder is found through one of its modules."""
    return [sources, Path(str(files("grpc_tools") / "_proto")), Path(annotations_pb2.__file__).parents[2]]


def generate(target: Path) -> None:
    """Write the generated package below `target`."""
    protos = sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.proto"))
    (target / "ragproto").mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        *(f"-I{include}" for include in includes(SOURCES)),
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
        *protos,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    descriptors(target / "ragproto" / "descriptors.binpb", [*protos, ERROR_DETAILS])
    for folder in {Path(proto).parent for proto in protos}:
        for package in (folder, *folder.parents):
            if package != Path():
                (target / package / "__init__.py").touch()


def descriptors(target: Path, protos: list[str]) -> None:
    """Write what the gateway transcodes by. It must know the types of an error's details, or it sends no body."""
    flags = ["--include_imports", f"--descriptor_set_out={target}"]
    if protoc.main(["protoc", *(f"-I{include}" for include in includes(SOURCES)), *flags, *protos]) != 0:
        raise SystemExit("protoc failed")


def image(target: Path, sources: Path) -> None:
    """Write a descriptor image with comments, the form in which buf lints and compares."""
    protos = sorted(str(path.relative_to(sources)) for path in sources.rglob("*.proto"))
    flags = ["--include_imports", "--include_source_info", f"--descriptor_set_out={target}"]
    if protoc.main(["protoc", *(f"-I{include}" for include in includes(sources)), *flags, *protos]) != 0:
        raise SystemExit("protoc failed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--image", type=Path, help="write a descriptor image for buf to this file and nothing else")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of the .proto files (with --image)")
    arguments = parser.parse_args()
    if arguments.image:
        image(arguments.image, arguments.sources)
        return 0
    if not arguments.check:
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
