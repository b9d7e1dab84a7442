"""The settings that decide what a generation holds, kept with it so that another embedder or chunker stays computable.

Secrets are no part of it: a key is always that of this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.settings import Settings

GenerationConfig = Mapping[str, Any]
"""Names of settings to their values, as JSON."""

CHUNKING = ("chunk_tokens", "chunk_overlap", "chunk_context")
"""What shapes chunks."""
_ALWAYS = ("embedder", *CHUNKING)
_BEFORE: GenerationConfig = {"chunk_context": True}
"""What held for recipes that were kept before there was such a choice."""
_OF_MODELS = ("embed_model", "embed_dimensions", "embed_query_prefix", "embed_passage_prefix")
_OF_ENDPOINT = ("embed_max_tokens",)
_PLACE = ("embed_url",)
CHANGEABLE = (*_ALWAYS, *_OF_MODELS, *_OF_ENDPOINT)
"""What a new generation may set differently than this installation."""


def generation_config_of(settings: Settings) -> dict[str, Any]:
    """What reproduces the embedder and the chunker of these settings."""
    names = list(_ALWAYS)
    if settings.embedder != "onnx":
        names += _OF_MODELS
    if settings.embedder == "openai":
        names += [*_OF_ENDPOINT, *_PLACE]
    return {name: getattr(settings, name) for name in names}


def settings_for(settings: Settings, generation_config: GenerationConfig) -> Settings:
    """These settings with a recipe's embedder and chunker.

    A recipe that differs only in where the model is reached gives these settings as they are: a model may move to
    another host. Raises `ConfigError` (`CONFIG_INVALID`) for a recipe that no settings could have.
    """
    if not generation_config:
        return settings
    generation_config = {**_BEFORE, **generation_config}
    if _identity(generation_config) == _identity(generation_config_of(settings)):
        return settings
    known = {name: value for name, value in generation_config.items() if name in {*CHANGEABLE, *_PLACE}}
    try:
        # Validated, unlike `model_copy`: a row may have been written by another release.
        return Settings.model_validate({**dict(settings), **known})
    except ValueError as error:
        raise ConfigError(
            Reason.CONFIG_INVALID, f"the settings kept with a generation are not usable: {error}"
        ) from None


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """These settings with some of a recipe's values changed.

    Raises `InvalidInput` (`FIELD_INVALID`) for a name that no recipe has or a value that it cannot have.
    """
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise InvalidInput(Reason.FIELD_INVALID, f"unknown {', '.join(unknown)}; known: {', '.join(CHANGEABLE)}")
    try:
        return Settings.model_validate({**dict(settings), **changes})
    except ValueError as error:
        first = str(error).strip().splitlines()[-2:]
        raise InvalidInput(Reason.FIELD_INVALID, f"not usable: {' '.join(line.strip() for line in first)}") from None


def _identity(generation_config: GenerationConfig) -> dict[str, Any]:
    return {name: value for name, value in generation_config.items() if name not in _PLACE}
