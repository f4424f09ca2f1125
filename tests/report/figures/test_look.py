"""Colours, markers and names of encoders: apart from each other, in grey as well."""

import pytest

from xbench.report.figures.lines import legend_columns
from xbench.report.figures.palette import NOBODY, Look, Looks, numbered, short, wrapped
from xbench.report.results.results import ComparedEncoder

from ..styles import study_style

NONE = ComparedEncoder("none")
STYLE = study_style()


def aligned(variant: str, **more: object) -> ComparedEncoder:
    values = {"objective": "hictl", "pair": "deu-eng"} | more
    return ComparedEncoder("aligned", variant=variant, **values)  # type: ignore[arg-type]


def test_many_things_look_different_and_the_first_differ_in_their_markers_alone() -> None:
    looks = [numbered(number) for number in range(84)]
    assert len(set(looks)) == 84
    assert len({look.marker for look in looks[:7]}) == 7
    assert len({look.colour for look in looks[:7]}) == 7


def test_variants_keep_their_look_whatever_their_pair_arm_and_order() -> None:
    encoders = [aligned("S0W1M0"), NONE, aligned("S1W0M0", pair="kaz-kor"), aligned("S1W0M0")]
    looks = Looks.of(encoders, STYLE)
    assert looks == Looks.of(reversed(encoders), STYLE)
    assert looks.look(encoders[2]) == looks.look(encoders[3]) == numbered(0)
    assert looks.look(encoders[0]) == numbered(1)
    shuffled = ComparedEncoder("shuffled", "hictl", "S1W0M0", "deu-eng")
    assert looks.look(shuffled) == Look(numbered(0).colour, numbered(0).marker, ":", False)
    assert looks.look(NONE) == NOBODY
    order = sorted([shuffled, *encoders], key=looks.order)
    assert [looks.name(encoder) for encoder in order] == [
        *("none", "S1W0M0", "S1W0M0", "S0W1M0", "S1W0M0 shuffled")
    ]


def test_names_say_what_is_not_the_same_everywhere() -> None:
    two = [aligned("a"), aligned("a", objective="other")]
    looks = Looks.of(two, STYLE)
    assert [looks.name(encoder) for encoder in two] == ["hictl:a", "other:a"]
    plain = aligned("", objective="centre")
    assert Looks.of([plain], STYLE).name(plain) == "centre"


def test_what_is_long_loses_its_middle() -> None:
    assert short("x" * 36) == "x" * 36
    cut = short("begin" + "x" * 90 + "end")
    assert len(cut) == 36
    assert cut.startswith("begin")
    assert cut.endswith("end")
    assert short("two\nlines\tof\u202e text") == "two lines of text"
    assert wrapped("one two three four", 9) == "one two\nthree\nfour"
    assert max(map(len, wrapped("w" * 200, 10).split("\n"))) == 10


@pytest.mark.parametrize(
    ("names", "width", "columns"),
    [([], 6.8, 1), (["a"], 6.8, 1), (["abcdef"] * 7, 6.8, 7), (["x" * 36] * 7, 6.8, 2)],
)
def test_a_legend_is_as_wide_as_its_figure(names: list[str], width: float, columns: int) -> None:
    assert legend_columns(names, width) == columns
