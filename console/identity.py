"""The console's identity: name, mark and version of the product."""

from __future__ import annotations

import html
import importlib.metadata

PRODUCT = "RAG platform"
_MARK = """<rect width="32" height="32" rx="7" fill="#0b5cad"/>
<path d="M6 18h5v8h-5z M13.5 12h5v14h-5z M21 6h5v20h-5z" fill="#ffffff"/>"""
MARK = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">{_MARK}</svg>'


def wordmark(name: str) -> str:
    """The mark with the product's name beside it, for a dark ground."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 184 32" width="184" height="32">'
        f'{_MARK}<text x="42" y="22" fill="#ffffff" font-family="Source Sans 3, Segoe UI, Noto Sans CJK SC, sans-serif"'
        f' font-size="17" font-weight="600">{html.escape(name)}</text></svg>'
    )


def version() -> str:
    """The version of the installed distribution; `dev` in a tree that is not installed."""
    try:
        return importlib.metadata.version("rag-platform")
    except importlib.metadata.PackageNotFoundError:
        return "dev"
