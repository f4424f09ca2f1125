"""Saving: the same bytes again, text as text, fonts embedded, and letters of other scripts."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from xbench.report.figures import fonts
from xbench.report.figures.canvas import render

NAME = "Noto Of The Test"


def picture(text: str = "S1W0M0", **style: object) -> Callable[[], Figure]:
    def draw() -> Figure:
        figure = Figure(figsize=(3, 2), layout="constrained")
        axes = figure.add_subplot()
        axes.bar([1, 2], [1, -2], hatch="//")
        axes.set_title(text, **style)
        return figure

    return draw


def test_the_same_picture_has_the_same_bytes_whatever_the_user_has_set() -> None:
    first = render(picture(), ("svg", "pdf", "png"))
    with matplotlib.rc_context({"font.size": 31, "svg.fonttype": "path", "svg.hashsalt": "x"}):
        again = render(picture(), ("svg", "pdf", "png"))
        assert matplotlib.rcParams["font.size"] == 31
    assert first == again
    assert first["svg"] == render(picture(), ("svg",))["svg"]
    assert first["svg"] != render(picture("S0W1M0"), ("svg",))["svg"]


def test_another_process_writes_the_same_bytes() -> None:
    code = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); import test_canvas as t;"
        "from xbench.report.figures.canvas import render;"
        "print({k: hashlib.sha256(v).hexdigest() for k, v in"
        " render(t.picture(), ('svg', 'pdf')).items()})"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    outputs = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(outputs) == 1
    assert b"pdf" in outputs.pop()


def test_nothing_of_when_is_in_a_file() -> None:
    files = render(picture(), ("svg", "pdf"))
    assert b"<dc:date>" not in files["svg"]
    assert b"CreationDate" not in files["pdf"]


def test_text_stays_text_and_fonts_are_embedded_as_truetype() -> None:
    files = render(picture("50% of $x_1$ & <b>"), ("svg", "pdf"))
    assert b">50% of $x_1$ &amp; &lt;b&gt;</text>" in files["svg"]
    assert b"/FontFile2" in files["pdf"]
    assert b"/Type3" not in files["pdf"]


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot draw exe; choose from svg, pdf, png"):
        render(picture(), ("svg", "exe"))


@pytest.fixture
def ideographs(tmp_path: Path) -> Iterator[str]:
    """A font that has two characters, known to matplotlib while the test runs."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(point)
    pen.closePath()
    glyphs = {".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({ord("語"): "square", ord("言"): "square"})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (800, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": NAME, "styleName": "Regular", "psName": "OfTheTest"})
    builder.setupOS2(usWeightClass=400, sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    path = tmp_path / "test.ttf"
    builder.save(path)
    known = list(fontManager.ttflist)
    fontManager.addfont(str(path))
    fonts.candidates.cache_clear()
    yield NAME
    fontManager.ttflist[:] = known
    fonts.candidates.cache_clear()


def test_another_font_steps_in_where_the_own_one_lacks_letters(ideographs: str) -> None:
    figure = picture("qaa 言語")()
    assert fonts.use_available(figure) == ""
    title = figure.axes[0].title
    assert title.get_fontfamily()[:2] == [fonts.OWN, ideographs]
    assert all(
        label.get_fontfamily() == ["sans-serif"] for label in figure.axes[0].get_xticklabels()
    )
    files = render(picture("qaa 言語"), ("svg", "pdf"))
    assert "言語" in files["svg"].decode("utf-8")
    assert b"OfTheTest" in files["pdf"]


def test_what_no_font_has_is_told_and_costs_no_figure(
    recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    private = "\U0010fffd"
    assert fonts.use_available(picture(f"x{private}")()) == private
    with caplog.at_level(logging.WARNING):
        files = render(picture(f"x{private}"), ("svg", "pdf", "png"))
    assert private in files["svg"].decode("utf-8")
    assert not caplog.records
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


@pytest.mark.parametrize("text", ["עברית", "العربية", "Қазақша", "Ελληνικά", "ქართული"])
def test_scripts_that_the_own_font_has_need_no_other(text: str) -> None:
    assert fonts.use_available(picture(text)()) == ""
    figure = picture(text)()
    fonts.use_available(figure)
    assert figure.axes[0].title.get_fontfamily() == ["sans-serif"]
