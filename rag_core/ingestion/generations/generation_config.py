"""The generation config: the settings of a generation's embedder and chunker, stored with the generation.

With them a generation stays reproducible when the installation's settings change. Secrets are not part of it: an API
key always comes from this process's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_core.errors import ConfigError, InvalidInput, Reason
from rag_core.settings import Settings

GenerationConfig = Mapping[str, Any]
"""Setting names to values, as JSON."""

CHUNKING = ("chunk_tokens", "chunk_overlap", "chunk_context")
"""The settings that shape chunks."""
_ALWAYS = ("embedder", *CHUNKING)
_OF_BUNDLED = ("embed_network",)
_BEFORE: GenerationConfig = {"chunk_context": True}
_BEFORE_OF_BUNDLED: GenerationConfig = {"embed_network": "dynamic-int8"}
"""Values for generation configs that were stored before these settings existed."""
_OF_MODELS = ("embed_model", "embed_dimensions", "embed_query_prefix", "embed_passage_prefix")
_OF_ENDPOINT = ("embed_max_tokens",)
_PLACE = ("embed_url",)
CHANGEABLE = (*_ALWAYS, *_OF_BUNDLED, *_OF_MODELS, *_OF_ENDPOINT)
"""Settings that a new generation may set to values other than the installation's."""


def generation_config_of(settings: Settings) -> dict[str, Any]:
    """The settings that reproduce the embedder and the chunker."""
    names = list(_ALWAYS)
    names += _OF_BUNDLED if settings.embedder == "onnx" else _OF_MODELS
    if settings.embedder == "openai":
        names += [*_OF_ENDPOINT, *_PLACE]
    return {name: getattr(settings, name) for name in names}


def settings_for(settings: Settings, generation_config: GenerationConfig) -> Settings:
    """These settings with the embedder and chunker of a generation config.

    A config that differs only in the model's address returns these settings unchanged: a model may move to another
    host. Raises `ConfigError` (`CONFIG_INVALID`) for values that are not valid settings.
    """
    if not generation_config:
        return settings
    bundled = generation_config.get("embedder", settings.embedder) == "onnx"
    generation_config = {**_BEFORE, **(_BEFORE_OF_BUNDLED if bundled else {}), **generation_config}
    if _identity(generation_config) == _identity(generation_config_of(settings)):
        return settings
    known = {name: value for name, value in generation_config.items() if name in {*CHANGEABLE, *_PLACE}}
    try:
        # `model_copy` does not validate, and another release may have written the row.
        return Settings.model_validate({**dict(settings), **known})
    except ValueError as error:
        raise ConfigError(
            Reason.CONFIG_INVALID, f"the settings kept with a generation are not usable: {error}"
        ) from None


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """These settings with some values of the generation config changed.

    Raises `InvalidInput` (`FIELD_INVALID`) for an unknown name or an invalid value.
    """
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise InvalidInput(
            Reason.FIELD_INVALID, f"settings: unknown {', '.join(unknown)}; known: {', '.join(CHANGEABLE)}"
        )
    try:
        return Settings.model_validate({**dict(settings), **changes})
    except ValueError as error:
        first = str(error).strip().splitlines()[-2:]
        raise InvalidInput(Reason.FIELD_INVALID, f"not usable: {' '.join(line.strip() for line in first)}") from None


def _identity(generation_config: GenerationConfig) -> dict[str, Any]:
    return {name: value for name, value in generation_config.items() if name not in _PLACE}
