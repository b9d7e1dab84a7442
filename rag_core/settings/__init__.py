"""The settings of every process: one class, read once from the environment. No other code reads the environment."""

from rag_core.settings.allowances import SourceAllowance
from rag_core.settings.answers import MAX_PROMPT_CHARS
from rag_core.settings.base import Settings, environment_secret, split_list
from rag_core.settings.cluster import QdrantSettings
from rag_core.settings.fields import FieldType
from rag_core.settings.strength import MIN_SECRET_LENGTH
