from .answerer import OpenAIAnswerer as OpenAIAnswerer, open_openai_answerer as open_openai_answerer
from .prompts import read_style as read_style
from .sections import joined_text as joined_text, same_section as same_section
from .support import SupportChecker as SupportChecker
