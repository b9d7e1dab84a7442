"""Print the requirements that every image has: those of the project that no group `image-…` names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def name_of(requirement: str) -> str:
    """The package that a requirement names."""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def main() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    declared = tomllib.loads(text)
    groups = {name: group for name, group in declared["dependency-groups"].items() if name.startswith("image-")}
    elsewhere = {name_of(one) for group in groups.values() for one in group}
    print("\n".join(one for one in declared["project"]["dependencies"] if name_of(one) not in elsewhere))


if __name__ == "__main__":
    main()
