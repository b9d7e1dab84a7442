"""The place of a visitor of the page Ask: the cursor in the question, and the newest answer in sight."""

from __future__ import annotations

import streamlit as st

# No cursor where there is no keyboard: a telephone would open its own over the page. Streamlit scrolls a chat to its
# end, which is below the beginning of a long answer.
_SCRIPT = """let seen = 0
const placed = new WeakSet()
export default function ({ data, parentElement }) {
  const reveal = () => document.querySelector(`.st-key-answer-${data.turn}`)?.closest('[data-testid=stChatMessage]')
    ?.scrollIntoView({ block: 'start' })
  if (data.turn !== seen) {
    seen = data.turn
    let left = seen ? 12 : 0 // the elements of an answer come one after another
    const stop = () => { left = 0 }
    for (const event of ['wheel', 'touchmove', 'keydown']) document.addEventListener(event, stop, { once: true })
    const again = () => { if (left-- > 0) { reveal(); setTimeout(again, 200) } }
    again()
  }
  if (window.matchMedia('(hover: none)').matches) return
  if (placed.has(parentElement)) return
  placed.add(parentElement)
  let tries = 20
  const focus = () => {
    const box = document.querySelector('[data-testid=stChatInput] textarea')
    const here = document.activeElement
    if (!box) { if (tries-- > 0) setTimeout(focus, 100) }
    else if (!here || here === document.body || here.closest('[data-testid=stSidebarNav]')) {
      box.focus({ preventScroll: true })
    }
  }
  focus()
}"""
_component = st.components.v2.component("question_focus", js=_SCRIPT)


def focus_question(turn: int) -> None:
    """Put the cursor into the question when nothing else has it, and show a new answer from its beginning."""
    _component(key="question-focus", data={"turn": turn}, height=0)
