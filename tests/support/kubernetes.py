"""The published API schemas of Kubernetes, with their definitions read once per version."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

_SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"


def problems(version: str, item: dict[str, Any]) -> list[str]:
    """All that is wrong with an object in a version such as `1.34`; unknown fields are."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", item["apiVersion"])
    found = _validator(version, f"{item['kind'].lower()}-{group}").iter_errors(item)
    return [f"{item['kind']} {item['metadata']['name']}: {error.json_path}: {error.message}" for error in found]


@cache
def _validator(version: str, name: str) -> Draft202012Validator:
    folder = _SCHEMAS / f"v{version}.0-local-strict"
    return Draft202012Validator(_read(folder / f"{name}.json"), registry=_definitions(folder))


@cache
def _definitions(folder: Path) -> Registry[Any]:
    definitions = Resource.from_contents(_read(folder / "_definitions.json"))
    # Crawled here, or it would be again for each object.
    return Registry().with_resource("_definitions.json", definitions).crawl()


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
