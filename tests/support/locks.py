"""Packages of the locks in requirements/, as a given Python version would install them on this platform."""

from __future__ import annotations

import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.chart import ROOT


def locked(name: str) -> list[Requirement]:
    """Every entry of `requirements/NAME.txt`, without its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    return [Requirement(entry) for entry in re.findall(r"(?m)^([A-Za-z0-9][^\\\n]*?) *\\?$", text)]


def packages(name: str, python: str) -> set[tuple[str, str]]:
    """Name and version of what the lock installs for a full Python version such as `3.13.5`."""
    environment = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    chosen = [item for item in locked(name) if item.marker is None or item.marker.evaluate(environment)]
    return {(canonicalize_name(item.name), str(item.specifier).removeprefix("==")) for item in chosen}
