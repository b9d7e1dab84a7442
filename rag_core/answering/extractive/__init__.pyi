from .answerer import ExtractiveAnswerer as ExtractiveAnswerer, decide as decide, rank_passages as rank_passages
from .terms import content_words as content_words
from .terms import share_of_words as share_of_words
