"""The places that releases are deployed to, each with the same interface (`base.Target`)."""

from __future__ import annotations

from typing import Literal

from rag_core.settings import Settings
from ragctl.deploy.targets.base import Target
from ragctl.stack.home import Home

TargetName = Literal["local", "kubernetes"]


def open_target(name: TargetName, settings: Settings, home: Home) -> Target:
    """The target of this name. Raises `ConfigError` when this process cannot reach it."""
    if name == "kubernetes":
        from ragctl.deploy.targets.kubernetes import KubernetesTarget

        return KubernetesTarget.open(settings)
    from ragctl.deploy.targets.local import LocalTarget

    return LocalTarget(settings, home)
