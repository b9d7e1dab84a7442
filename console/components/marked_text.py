"""Text of documents with marked sentences and linked citation markers, made of text nodes: nothing of it is HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from console.presenters.cited_text import Part

Link = tuple[str, str]
"""Address and label."""
_SCRIPT = """export default function ({ data, parentElement, setTriggerValue }) {
  const made = (name, part) => { const node = document.createElement(name); node.textContent = part.text; return node }
  const shown = (part) => {
    if (part.marked) return made('mark', part)
    if (!part.number) return document.createTextNode(part.text)
    const link = made('a', part)
    link.href = data.links[part.number]
    link.setAttribute('aria-label', data.labels[part.number])
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey) return
      event.preventDefault()
      setTriggerValue('cited', part.number)
    }
    return link
  }
  parentElement.querySelector('section').replaceChildren(...data.paragraphs.map((parts) => {
    const line = document.createElement('p')
    line.append(...parts.map(shown))
    return line
  }))
}"""
_STYLE = """p { margin: 0 0 .6rem; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.55 }
p:last-child { margin: 0 } mark { background: var(--st-yellow-background-color); color: inherit; padding: .05rem .1rem;
border-radius: .2rem } a { color: var(--st-link-color) }"""
_component = st.components.v2.component("marked_text", html="<section></section>", css=_STYLE, js=_SCRIPT)


def marked_text(
    paragraphs: Sequence[Sequence[Part]],
    links: dict[int, Link],
    *,
    key: str,
    on_cited: Callable[[int], None],
) -> None:
    """The paragraphs; `links` are address and label of each citation, which a click hands to `on_cited` instead."""

    def cited() -> None:
        if number := getattr(st.session_state.get(key), "cited", None):
            on_cited(int(number))

    addresses = {number: link for number, (link, _) in links.items()}
    labels = {number: label for number, (_, label) in links.items()}
    data = {"paragraphs": paragraphs, "links": addresses, "labels": labels}
    _component(key=key, data=data, on_cited_change=cited)
