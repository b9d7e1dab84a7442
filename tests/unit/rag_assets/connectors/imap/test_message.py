"""What a message says: its own text without what it quotes, and its attachments by the numbers of their parts."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

import pytest

from rag_assets.connectors.imap.message import numbered, render, without_quotes
from rag_core.errors import InvalidInput


def message(text: str = "Pump 7 needs oil.", **headers: str) -> EmailMessage:
    found = EmailMessage(policy=SMTP)
    for name, value in {
        "From": "Ann <ann@acme.example>",
        "To": "team@acme.example",
        "Subject": "Pump 7",
        **headers,
    }.items():
        found[name.replace("_", "-")] = value
    found.set_content(text)
    return found


def own_text(found: EmailMessage, **more: bool) -> str:
    rendered = render(found.as_bytes(), "", **{"keep_quotes": False, **more})
    assert rendered is not None
    return rendered.content.decode().partition("\n\n")[2].strip()


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes.\n\nOn Mon, 30 Nov 2026 at 10:00, Bo <bo@acme.example>\nwrote:\n> Does it\n> need oil?\n", "Yes."),
        ("Ja.\n\nAm 30.11.2026 um 10:00 schrieb Bo:\n> Braucht sie Öl?\n", "Ja."),
        ("需要。\n\n2026年11月30日 Bo 写道：\n> 要加油吗？\n", "需要。"),
        ("> Does it need oil?\n\nYes.\n\n> And when?\n\nOn Friday.\n", "Yes.\n\nOn Friday."),
        ("Yes.\n-----Original Message-----\nFrom: Bo\nDoes it?\n", "Yes."),
        ("Yes.\n\nVon: Bo <bo@acme.example>\nGesendet: Montag\nAn: Ann\nBetreff: Pump 7\n\nBraucht sie Öl?", "Yes."),
        ("Yes.\n-- \nAnn\nAcme Ltd.\n", "Yes."),
        ("Yes.\n--\nAnn\n", "Yes."),
        ("Steps:\n1. Stop it.\n2. Fill it.\n", "Steps:\n1. Stop it.\n2. Fill it."),
        ("a -- b\n\n-----\nc: d\n", "a -- b\n\n-----\nc: d"),
        ("", ""),
    ],
)
def test_what_a_message_quotes_and_its_signature_are_not_its_text(text: str, own: str) -> None:
    assert without_quotes(text) == own


def test_a_forwarded_message_keeps_what_it_forwards() -> None:
    text = "See below.\n\n---------- Forwarded message ---------\nFrom: Bo <bo@acme.example>\n\nPump 7 leaks."
    assert own_text(message(text, Subject="Fwd: Pump 7")).endswith("Pump 7 leaks.")
    assert own_text(message(text)) == "See below."
    assert own_text(message(text), keep_quotes=True).endswith("Pump 7 leaks.")


def test_html_is_read_without_its_quotes_where_there_is_no_plain_text() -> None:
    found = message()
    found.set_content(
        "<p>Oil it.</p><blockquote>When?</blockquote><div class='gmail_quote'>Bo wrote</div>", subtype="html"
    )
    rendered = render(found.as_bytes(), "", keep_quotes=False)
    assert rendered is not None
    text = rendered.content.decode()
    assert rendered.media_type == "text/html"
    assert ("Oil it." in text, "Ann &lt;ann@acme.example&gt;" in text) == (True, True)
    assert "When?" not in text
    assert "Bo wrote" not in text


def test_attachments_are_found_by_number_and_carry_the_message_as_context() -> None:
    found = message(Subject="=?utf-8?q?Pumpe_7_=C3=96l?=")
    found.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="größe.pdf")
    found.add_attachment(message("The inner text.", Subject="Inner"))
    parts = [number for number, _ in numbered(found)]
    assert parts == ["1", "2", "3"]
    pdf, inner = (render(found.as_bytes(), part, keep_quotes=False) for part in ("2", "3"))
    assert pdf is not None
    assert inner is not None
    assert (pdf.content, pdf.media_type, pdf.title) == (b"%PDF-1.4", "application/pdf", "größe.pdf (Pumpe 7 Öl)")
    assert (pdf.metadata["from"], pdf.metadata["subject"]) == ("Ann <ann@acme.example>", "Pumpe 7 Öl")
    assert (b"Subject: Inner" in inner.content, b"The inner text." in inner.content) == (True, True)
    assert render(found.as_bytes(), "9", keep_quotes=False) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"no header at all", b"\xff\xfe\x00",
        b"Subject: =?bad?q?x?=\nContent-Type: text/plain; charset=nope\n\n\xff",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n--x", b"Content-Transfer-Encoding: base64\n\n!!!",
        b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\na\n" * 3_000,
    ],
)  # fmt: skip
def test_a_broken_message_is_read_as_far_as_it_goes(raw: bytes) -> None:
    rendered = render(raw, "", keep_quotes=False)
    assert rendered is not None
    assert isinstance(rendered.content, bytes)


def test_parts_within_parts_without_end_are_one_unreadable_message() -> None:
    depth = range(2000)
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{at}"\n\n--b{at}\n' for at in depth)
    with pytest.raises(InvalidInput, match="NESTING_TOO_DEEP"):
        render(f"Subject: x\n{opened}Content-Type: text/plain\n\nhello\n".encode(), "", keep_quotes=False)


def test_deep_and_long_messages_take_time_in_proportion() -> None:
    assert without_quotes("On 1 a:\n" * 100_000 + "> b\n" * 100_000).count("\n") == 99_996
