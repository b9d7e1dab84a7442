"""Index generations: their rows, the configuration each was built with, and its chunker and embedder."""

from rag_core.generations import store
from rag_core.generations.generation_config import CHUNKING, Recipe, changed, recipe_of, settings_for
from rag_core.generations.store import FOLLOWING, DocumentTotals, Generation
from rag_core.generations.transforms import Kit, Kits

__all__ = [
    "CHUNKING",
    "FOLLOWING",
    "DocumentTotals",
    "Generation",
    "Kit",
    "Kits",
    "Recipe",
    "changed",
    "recipe_of",
    "settings_for",
    "store",
]
