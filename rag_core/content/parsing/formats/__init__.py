"""One module per document format. Each has `read(...)`, which fills a `TextBuilder` and returns a `ParsedDocument`."""
