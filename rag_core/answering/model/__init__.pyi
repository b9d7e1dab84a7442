from .answerer import OpenAIAnswerer as OpenAIAnswerer, open_openai_answerer as open_openai_answerer
from .prompts import read_style as read_style
from .support import SupportChecker as SupportChecker
