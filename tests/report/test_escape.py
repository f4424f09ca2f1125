"""Escaping: by example, and for any text that there is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.report.render.escape import clean, latex, markdown, markdown_paragraph
from xbench.report.render.markdown import render_table as render_markdown
from xbench.report.table import Column, Table, TableCell, TableRow

SPECIAL = '_&%#<>"\\$~^|*`{}[]-\n\t\0\x1b\u202e\u2028±−†'
texts = st.one_of(st.text(), st.text(alphabet=SPECIAL), st.text(st.characters()))

COMMANDS = re.compile(
    r"\\textbackslash\{\}|\\textasciitilde\{\}|\\textasciicircum\{\}|\\textless\{\}"
    r"|\\textgreater\{\}|\\textbar\{\}|\\textasciigrave\{\}|\\char34\{\}|\\[{}_&%#$]"
    r"|\{\[\}|\{\]\}|\{\*\}|\$\\pm\$|\$-\$|\$\^\{\\dagger\}\$|-\{\}(?=-)"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kas_Deva", r"kas\_Deva"),
        ("100 % & #1", r"100 \% \& \#1"),
        (r"C:\x{y}", r"C:\textbackslash{}x\{y\}"),
        ('a<b>"c"', r"a\textless{}b\textgreater{}\char34{}c\char34{}"),
        ("$x^2~y|z`", r"\$x\textasciicircum{}2\textasciitilde{}y\textbar{}z\textasciigrave{}"),
        ("[1] *", "{[}1{]} {*}"),
        ("a---b", "a-{}-{}-b"),
        ("−1 ± 2†", r"$-$1 $\pm$ 2$^{\dagger}$"),
        ("two\n\nlines\t.", "two lines ."),
        ("қазақ 日本語 עברית", "қазақ 日本語 עברית"),
    ],
)
def test_latex(text: str, expected: str) -> None:
    assert latex(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kas_Deva", r"kas\_Deva"),
        ("a|b", "a&#124;b"),
        ("a\\|b", "a\\\\&#124;b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("*x* `y` ~z~", r"\*x\* \`y\` \~z\~"),
        ("[l](u) ![i] #1 $5$", r"\[l\](u) \!\[i\] \#1 \$5\$"),
        ("two\nlines", "two lines"),
        ("қазақ 日本語 עברית", "қазақ 日本語 עברית"),
    ],
)
def test_markdown(text: str, expected: str) -> None:
    assert markdown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1. x", r"1\. x"), ("12) x", r"12\) x"), ("- x", r"\- x"), ("+1", r"\+1"), ("1.5", r"1\.5")],
)
def test_markdown_at_the_start_of_a_line(text: str, expected: str) -> None:
    assert markdown_paragraph(text) == expected


def test_control_characters_and_overrides_of_direction_go() -> None:
    assert clean("a\x1b[31mb\0\ud800") == "a\ufffd[31mb\ufffd\ufffd"
    assert clean("\u202eevil\u202c \u2066x\u2069") == "evil x"


@given(texts)
def test_cleaned_text_is_one_line_and_stays_clean(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.splitlines() in ([], [cleaned])
    assert clean(cleaned) == cleaned
    cleaned.encode("utf-8")


@given(texts)
def test_latex_has_no_bare_special_character(text: str) -> None:
    rest = COMMANDS.sub("x", latex(text))
    assert not re.search(r'[\\{}_&%#$~^<>|`"\[\]*±−†\n\r]|--', rest)


@given(texts)
def test_latex_keeps_what_it_does_not_need_to_escape(text: str) -> None:
    plain = re.sub(r'[\\{}_&%#$~^<>|`"\[\]*±−†]', "", clean(text))
    assert COMMANDS.sub("", latex(text)).replace("-", "") == plain.replace("-", "")


def unescaped(markdown_text: str) -> str:
    """What a reader of the Markdown sees."""
    entities = {"&lt;": "<", "&gt;": ">", "&#124;": "|", "&amp;": "&"}
    return re.sub(r"\\(.)|(&(?:lt|gt|amp|#124);)", lambda m: m[1] or entities[m[2]], markdown_text)


@given(texts)
def test_markdown_shows_the_text(text: str) -> None:
    assert unescaped(markdown(text)) == clean(text)


@given(texts)
def test_markdown_has_no_bare_special_character(text: str) -> None:
    rest = re.sub(r"\\.|&(lt|gt|amp|#124);", "", markdown(text))
    assert not re.search(r"[\\`*_{}\[\]#~!$<>|&\n\r]", rest)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=3), texts)
def test_markdown_tables_keep_their_columns(rows: list[tuple[str, str, str]], label: str) -> None:
    table = Table(
        name="t",
        label="t",
        title="t",
        caption=label,
        columns=(Column(label, (label,)), Column("b", ("g",))),
        rows=tuple(TableRow(stub, control=True) for stub, _, _ in rows),
        cells=tuple((TableCell(a, best=True, details=(b,)), TableCell(b)) for _, a, b in rows),
        stub=label,
        notes=(label,),
    )
    lines = [line for line in render_markdown(table).split("\n") if line.startswith("|")]
    assert len(lines) == len(rows) + 2
    assert {line.count("|") for line in lines} == {4}
