from .allowances import SourceAllowance as SourceAllowance
from .answers import MAX_PROMPT_CHARS as MAX_PROMPT_CHARS
from .base import Settings as Settings, environment_secret as environment_secret, split_list as split_list
from .cluster import QdrantSettings as QdrantSettings
from .fields import DAGSTER_LOCATION as DAGSTER_LOCATION, FieldType as FieldType
from .strength import MIN_SECRET_LENGTH as MIN_SECRET_LENGTH
