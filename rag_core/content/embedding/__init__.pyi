from . import store as store
from .base import (
    Embedder as Embedder,
    TokenCounter as TokenCounter,
    TokenEmbedder as TokenEmbedder,
    TokenStates as TokenStates,
    Vectors as Vectors,
)
from .opening import (
    open_embedder as open_embedder,
    open_token_counter as open_token_counter,
    prepare_model as prepare_model,
    texts_per_run as texts_per_run,
)
from .store import PendingText as PendingText, TextCounts as TextCounts, decode as decode
