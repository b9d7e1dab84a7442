"""`helm upgrade` from the chart of each earlier release, kept in tests/data, to this one, and `helm rollback` from it.

The API server refuses an object whose immutable fields differ, and leaves the rest of the release half done.
"""

from __future__ import annotations

import copy
import tarfile
from pathlib import Path
from typing import Any

import helm_python
import pytest

from tests.support.chart import NAMESPACE, PRESETS, Manifest, loaded, merged, objects, render, values

RELEASED = sorted((Path(__file__).parents[3] / "data").glob("chart_*.tgz"))
IMMUTABLE: dict[str, tuple[tuple[str, ...], ...]] = {
    "Deployment": (("spec", "selector"),),
    "StatefulSet": tuple(
        ("spec", name) for name in ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
    ),
    "Service": (("spec", "clusterIP"),),
    "PersistentVolumeClaim": (("spec",),),
    "RoleBinding": (("roleRef",),),
    "ClusterRoleBinding": (("roleRef",),),
    "Secret": (("type",), ("immutable",)),
    "ConfigMap": (("immutable",),),
    "Job": (("spec", "template"),),
}
"""Fields that cannot be changed where the object is there already."""
PUBLIC = ("Service", "Secret", "PersistentVolumeClaim")
"""Kinds whose objects others name, or that hold data (docs/reference/versions.md)."""
RELEASES = pytest.mark.parametrize("file", RELEASED, ids=lambda file: file.name)


def released(file: Path, preset: str) -> tuple[dict[str, Any], list[Manifest]]:
    """The values of an installation of this release, and its objects."""
    with tarfile.open(file) as archive:
        member = archive.extractfile(f"rag-platform/values-{preset}.yaml")
        assert member is not None
        given = merged(loaded(member.read().decode()), values(preset, {}))
    made = helm_python.Chart.load(file).render(values=given, name="rag", namespace=NAMESPACE)
    return given, [item for path, text in made.items() if path.endswith(".yaml") for item in objects(text)]


def is_hook(item: Manifest) -> bool:
    """Hooks are deleted before they are made again."""
    return "helm.sh/hook" in item["metadata"].get("annotations", {})


def by_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(item["kind"], item["metadata"]["name"]): item for item in manifests if not is_hook(item)}


def field(item: Manifest, path: tuple[str, ...]) -> Any:
    found: Any = item
    for name in path:
        found = (found or {}).get(name)
    return found


def refused(before: list[Manifest], after: list[Manifest]) -> list[str]:
    """What the API server refuses when the one takes the place of the other."""
    new = by_name(after)
    return [
        f"{kind}/{name}: {'.'.join(path)}"
        for (kind, name), item in by_name(before).items()
        if (kind, name) in new
        for path in IMMUTABLE.get(kind, ())
        if field(item, path) != field(new[kind, name], path)
    ]


@RELEASES
@pytest.mark.parametrize("preset", PRESETS)
def test_an_installation_of_an_earlier_release_is_upgraded_and_goes_back(file: Path, preset: str) -> None:
    given, before = released(file, preset)
    after = render(given)  # its values are accepted: those that a person wrote for the release before
    assert refused(before, after) == refused(after, before) == []
    gone = by_name(before).keys() - by_name(after).keys()
    assert [item for item in sorted(gone) if item[0] in PUBLIC] == []
    assert len(by_name(before)) > 20


@RELEASES
def test_a_change_that_the_api_server_refuses_is_found(file: Path) -> None:
    _, before = released(file, "staging")
    after = copy.deepcopy(before)
    one = next(item for item in after if item["kind"] == "Deployment")
    one["spec"]["selector"]["matchLabels"]["added"] = "yes"
    assert refused(before, after) == [f"Deployment/{one['metadata']['name']}: spec.selector"]
