"""Templates of static site generators are read as what they render to or left out; code stays as it is written."""

from __future__ import annotations

import pytest

from rag_core.content.parsing import BlockKind
from rag_core.content.parsing.formats.site_templates import without_templates
from tests.support.hostile import RUNS, processor_seconds
from tests.unit.rag_core.content.parsing.conftest import Read

FRONT = "---\ntitle: Leave\nowner: People team\n---\n"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('Read [the page]({% page "/leave/" %}) and [x]({{ site.url }}/y "T").', "Read the page and x."),
        ('Ask [us][team].\n\n[team]: {% page "/team/" %}', "Ask us."),
        ("Ask [us][team].\n\n[team]: {{ site.baseurl }}/team", "Ask us."),
        ('See {{< ref "other page.md" >}}[here]({{< ref "a.md" >}}).', "See here."),
        ("# {{ page.title }}\n\nBy {{ page.owner | escape }}.", "Leave\n\nBy People team."),
        ("# {{ title }} {#leave .wide}\n\n{{ .Params.owner }}", "Leave\n\nPeople team"),
        ("{% assign a = 1 %}\nWrite to {{ site.mail }}, **{{ unknown }}** please.", "Write to, please."),
        ('{{ "/not/a/variable" | relative_url }} {{ "words" | escape }}', "words"),
        ("{% if a -%}\nYes.\n{%- else -%}\nNo.\n{%- endif %}", "Yes.\n\nNo."),
        ('{% include alert.html type="note" content="Ask first." %}', "Ask first."),
        ('A {{< glossary_tooltip text="Pod" term_id="pod" >}} runs.', "A Pod runs."),
        ('{{< figure src="a.png"\n  title="How it flows" >}}', "How it flows"),
        ('{{< details "Click to expand" >}}\nInside.\n{{< /details >}}', "Click to expand\n\nInside."),
        ("{{% alert color=red %}}\nMind *this*.\n{{% /alert %}}", "Mind this."),
        ("{% comment %}\nNot {{ this }}.\n{% endcomment %}{# nor this #}{{/* nor that */}}\n\nThis.", "This."),
        ("{% raw %}{{ kept }}{% endraw %} and `{{ code }}`", "{{ kept }} and {{ code }}"),
        ("Use ${{ secrets.KEY }} or $x_{{i}}$ or {one}.", "Use ${{ secrets.KEY }} or $x_{{i}}$ or {one}."),
        ("* TOC\n{:toc}\n\nText.\n{: .note }\n\n[[_TOC_]]", "Text."),
        (":::warning Take care\nIt burns.\n:::", "Take care\n\nIt burns."),
        ("!!! note\n    It is *slow*.", "Note: It is slow."),
        ('!!! tip "How to"\n\n    - one', "How to\n\n- one"),
        ("import A from '@a';\nimport {\n  b,\n} from 'b'\n\nexport const c = {\n\n  d: 1 }\n\nText {c.d}.", "Text."),
        ("<Tabs values={[{a: 'b'}]}>\n<TabItem label=\"Linux\">\n**Bold**\n</TabItem></Tabs>", "Linux\n\nBold"),
        ("import A from 'a'\n\n<A>\n\n    Indented {/* no */}text.\n\n</A>", "Indented text."),
        ("A <div style={{color: 'red'}}>word</div>, <B>bold</B>, List<Item> {x}.", "A word, bold, List {x}."),
        ("importing goods from 'abroad' is slow.", "importing goods from 'abroad' is slow."),
    ],
)  # fmt: skip
def test_templates_are_read_as_what_they_render_to_or_left_out(read: Read, source: str, text: str) -> None:
    assert read(FRONT + source, "a.md").text == text


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("```jinja\n{{ x }} {% if %}\nimport a from 'a'\n```", "{{ x }} {% if %}\nimport a from 'a'"),
        ("{% raw %}\n```\n{{ x }}\n```\n{% endraw %}", "{{ x }}"),
        ('```\n{{</* ref "a" */>}} {% raw %}{{ y }}{% endraw %}\n```', '{{< ref "a" >}} {{ y }}'),
        ("{% highlight ruby linenos %}\n{{ x }}\n{% endhighlight %}", "{{ x }}"),
        ('{{< highlight go "linenos=table" >}}\n{{ x }}\n{{< /highlight >}}', "{{ x }}"),
        ("Text.\n\n    {{ x }}\n\n    <A b={c}>", "{{ x }}\n\n<A b={c}>"),
    ],
)
def test_code_is_kept_as_it_is_written(read: Read, source: str, code: str) -> None:
    document = read(source, "a.md")
    assert [document.text[block.start : block.end] for block in document.blocks if block.kind is BlockKind.CODE] == [
        code
    ]


def test_rows_of_a_loop_do_not_end_its_table(read: Read) -> None:
    loop = "{% for x in y %}\n| {{ x.a }} | {{ x.b }} |\n{% endfor %}\n"
    document = read(f"| a | b |\n|---|---|\n| 1 | 2 |\n{loop}| 3 | 4 |\n", "a.md")
    assert document.text == "a | b\n1 | 2\n3 | 4"


def test_the_source_of_an_html_page_has_metadata_and_no_templates(read: Read) -> None:
    page = f"{FRONT}<h1>{{{{ page.title }}}}</h1>\n        <p>Ask {{% include x.html %}}<b>them</b>.</p>"
    document = read(page, "a.html")
    assert (document.title, document.metadata["owner"], document.text) == ("Leave", "People team", "Leave\n\nAsk them.")


@pytest.mark.parametrize(
    "opening", ["{%", "{{", "{% raw %}", "{% comment %}", "{#", "{/*", "<A b={", '<A b="', "{: .a", ":::"]
)
def test_what_is_never_closed_stays_text_in_linear_time(opening: str) -> None:
    def took(size: int) -> float:
        text = (f"{opening} word " * size)[:size]
        return min(processor_seconds(lambda: without_templates(text, {}), 30) for _ in range(2))

    assert "word" in without_templates(f"{opening} word " * 100, {}).text
    slow = took(40_000)
    assert slow < 0.1 or slow < 8 * took(10_000)


@pytest.mark.parametrize("mark", [mark for mark in RUNS if mark in "{}%<>`:=#/*\"' \n"])
def test_runs_of_one_mark_stay(mark: str) -> None:
    assert without_templates(mark * 5_000, {}).text.count(mark) >= 4_000 or mark in "`:"
