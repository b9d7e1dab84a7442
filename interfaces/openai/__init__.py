"""OpenAI's API over the platform: chat completions, models, vector stores and files."""
