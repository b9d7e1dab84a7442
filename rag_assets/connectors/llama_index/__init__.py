"""Documents of a reader of LlamaIndex."""
