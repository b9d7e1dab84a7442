from __future__ import annotations

from tests.support.models import model_dir, model_home

__all__ = ["model_dir", "model_home"]
