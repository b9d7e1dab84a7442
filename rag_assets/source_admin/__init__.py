"""Testing, previewing, creating, changing and removing sources. Imports no Dagster."""

from rag_assets.source_admin.definition import parse_definition, render_definition
from rag_assets.source_admin.files import SourceFile, SourceFolder
from rag_assets.source_admin.kinds import describe_kinds, find_card
from rag_assets.source_admin.merge_request import propose
from rag_assets.source_admin.preview import check_source, count_readers, preview_source, require_readable
from rag_assets.source_admin.removal import find_removable, remove
