"""Deployment targets, each with the same interface (`base.Target`)."""

from __future__ import annotations

from typing import Literal

from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.rollout.targets.base import Target

TargetName = Literal["local", "kubernetes"]


def open_target(name: TargetName, settings: Settings, data_dir: DataDir) -> Target:
    """The target of this name. Raises `ConfigError` when this process cannot reach it."""
    if name == "kubernetes":
        from ragctl.rollout.targets.kubernetes import KubernetesTarget

        return KubernetesTarget.open(settings)
    from ragctl.rollout.targets.local import LocalTarget

    return LocalTarget(settings, data_dir)
