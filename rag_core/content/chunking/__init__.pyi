from . import store as store
from .chunker import CHUNKER_VERSION as CHUNKER_VERSION, Chunker as Chunker, open_chunker as open_chunker
from .spans import Chunk as Chunk
from .store import ChunkingResult as ChunkingResult, StoredText as StoredText
