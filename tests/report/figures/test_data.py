"""What figures show: numbers by hand from the results, gaps as gaps, captions that say what was done."""

import math
from dataclasses import replace
from typing import Any

import pytest

from xbench.report.figures.curves import curve_figures
from xbench.report.figures.heatmap import HeatMap, draw_map, heat_figures
from xbench.report.figures.layers import layer_figures
from xbench.report.figures.lines import LineGrid, Series, draw_lines
from xbench.report.figures.maps import Cloud, Maps, draw_maps, map_figures
from xbench.report.figures.material import Curve, Material
from xbench.report.figures.scatter import draw_points, scatter_figures, score_intervals
from xbench.report.results.changes import accuracy_changes
from xbench.report.results.probe_rows import AS_IT_IS, Measure, read_probes
from xbench.report.results.results import ComparedEncoder, Selection
from xbench.report.statistics.stats import paired_t_interval

from ..probed import (
    PAIRS,
    SEEDS,
    SOURCE,
    TARGETS,
    VARIANTS,
    Row,
    base_row,
    frame,
    noisy,
    smooth,
    study,
)
from ..styles import study_style
from .material import PICTURED, curves, data_of, drawn, material

ORDER = ("S1W0M0", "S0W1M0", "S0W0M1")  # the study's


def of(variant: str, pair: str = "deu-eng") -> Row:
    return {"variant": variant, "pair": pair}


def line(data: LineGrid, row: int, column: int, name: str) -> Series:
    (found,) = [each for each in data.panels[row, column] if each.name == name]
    return found


def changed(rows: list[Row], test: Any, **values: Any) -> list[Row]:
    return [row | values if test(row) else row for row in rows]


# Layers


def test_lines_are_mean_changes_against_the_untouched_encoder_layer_by_layer() -> None:
    near, _ = drawn(layer_figures(material()))[0]
    data = data_of(near)
    assert data.columns == tuple(
        f"{pair}{after}" for after in ("", "\nfine-tuned on pos, full") for pair in PAIRS
    )
    found = line(data, 0, 0, "S1W0M0")
    assert found.x == (8.0, 12.0)
    for layer, value in zip((8, 12), found.y, strict=True):
        changes = [smooth(of("S1W0M0"), c, layer) - smooth({}, c, layer) for c in TARGETS]
        if layer == 8:
            changes.append(0.0)  # spa-bul is 0.25 everywhere
        assert value == pytest.approx(math.fsum(changes) / len(changes))


def test_what_was_fine_tuned_is_held_against_the_encoder_before() -> None:
    data = data_of(drawn(layer_figures(material()))[0][0])
    assert "none" not in [each.name for each in data.panels[0, 0]]
    untouched = line(data, 0, 2, "none")
    assert untouched.y == pytest.approx((-0.1, -0.1))
    tuned, aligned = line(data, 0, 3, "S0W1M0"), line(data, 0, 1, "S0W1M0")
    assert tuned.y[1] == pytest.approx((aligned.y[1] or 0) - 0.1)


def test_values_without_an_untouched_encoder_are_values_and_leave_the_source_language_out() -> None:
    found = drawn(layer_figures(material()))[0][1]
    data = data_of(found)
    value = line(data, 0, 0, "S1W0M0").y[0]
    expected = [smooth(of("S1W0M0"), code, 8) / 10 for code in TARGETS]
    assert value == pytest.approx(math.fsum(expected) / len(expected))
    assert "over 7 languages" in found.caption


def test_a_gap_in_a_mean_is_a_gap_in_a_line_unless_a_part_was_asked_for() -> None:
    def test(row: Row) -> bool:
        place = (row["probe"], row["language"], row["layer"], row["variant"], row["pair"])
        return place == ("finder", "deu-eng", 8, "S1W0M0", "deu-eng")

    rows = changed(study(smooth, smooth), test, value=None, status="unavailable", reason="none")
    strict = data_of(drawn(layer_figures(material(rows)))[0][0])
    assert line(strict, 0, 0, "S1W0M0").y[0] is None
    assert line(strict, 0, 0, "S1W0M0").y[1] is not None
    partial = data_of(drawn(layer_figures(material(rows, style={"allow_partial": True})))[0][0])
    assert line(partial, 0, 0, "S1W0M0").y[0] is not None


def test_many_columns_are_a_figure_for_each_condition() -> None:
    rows = study(smooth, smooth, finetuned=True)
    pairs = ("jpn-kaz", "eng-kaz")
    rows += [row | {"pair": pair} for pair in pairs for row in rows if row["pair"] == "kaz-kor"]
    near, after, _ = drawn(layer_figures(material(rows)))[0]
    assert (near.name, after.name) == ("near", "near-fine-tuned-on-pos-full")
    assert data_of(near).columns == ("deu-eng", "eng-kaz", "jpn-kaz", "kaz-kor")


# Changes by language


def test_places_of_the_heat_map_are_changes_in_the_score() -> None:
    rows = study(smooth, smooth)
    full, linear = drawn(heat_figures(material(rows)))[0]
    assert (full.name, linear.name) == ("changes-pos-full", "changes-pos-linear")
    data: HeatMap = data_of(full)
    assert data.columns == (SOURCE, *TARGETS, "mean")
    assert data.rules == (1, 8)
    assert data.rows == ORDER * 2
    assert data.groups == ((PAIRS[0], 3), (PAIRS[1], 3))
    changes = [
        smooth(of("S0W1M0", PAIRS[1]), code, seed) - smooth({}, code, seed)
        for code in TARGETS
        for seed in SEEDS
    ]
    line = data.changes[4]
    assert line[-1].value == pytest.approx(math.fsum(changes) / len(changes))
    assert line[1].value == pytest.approx(math.fsum(changes[:3]) / 3)
    base = math.fsum(smooth({}, SOURCE, seed) for seed in SEEDS) / 3
    assert data.base[0] == f"{100 * base:.1f}"


def test_bold_are_changes_whose_interval_leaves_zero_out() -> None:
    def score(encoder: Row, language: str, seed: int) -> float:
        moved = {15: -0.02, 33: 0.01, 42: 0.02}[seed] if language == "deu" else 0.0
        return 0.5 + (0.0 if not encoder else 0.01 + moved + 0.0001 * (seed % 2))

    data: HeatMap = data_of(drawn(heat_figures(material(study(score, smooth))))[0][0])
    places = dict(zip(data.columns, data.changes[0], strict=True))
    assert not places["deu"].sure
    assert places["kaz"].sure
    assert places["kaz"].value == pytest.approx(0.01, abs=1e-4)


def test_what_has_no_value_is_named_and_no_colour() -> None:
    def test(row: Row) -> bool:
        return (row["variant"], row["language"], row["seed"]) == ("S1W0M0", "kaz", 33)

    rows = changed(study(smooth, smooth), test, status="failed", value=None, reason="NaN")
    data: HeatMap = data_of(drawn(heat_figures(material(rows)))[0][0])
    place = data.changes[0][data.columns.index("kaz")]
    assert (place.value, place.word) == (None, "failed")
    assert data.changes[0][-1].value is None
    texts = [text.get_text() for axes in draw_map(data).axes for text in axes.texts]
    assert "failed" in texts


def test_one_seed_gives_no_interval_and_says_so() -> None:
    rows = [row for row in study(smooth, smooth) if row["seed"] in (None, 15)]
    found = drawn(heat_figures(material(rows)))[0][0]
    assert "One seed" in found.caption
    assert not any(place.sure for line in data_of(found).changes for place in line)


def test_many_languages_are_bands_of_one_figure() -> None:
    codes = [f"l{number:02d}" for number in range(45)]
    rows = [
        base_row(metric="accuracy", value=0.5, task="pos", mode="full", seed=15, language=code)
        | {"split": "test"}
        | ({} if not tuned else {"arm": "aligned", "variant": "a", "pair": "x-y", "key": code})
        | ({"objective": "o", "align_seed": 42} if tuned else {})
        for code in codes
        for tuned in (False, True)
    ]
    for number, row in enumerate(rows):
        row["key"] = str(number)
    results = material(rows + study(smooth, smooth)[:0]).results
    data = data_of(drawn(heat_figures(Material(results=results)))[0][0])
    axes = draw_map(data).axes
    labels = [label.get_text() for place in axes for label in place.get_xticklabels()]
    assert len(axes) == 3
    assert labels == [*codes, "mean"]


# Against transfer


def test_points_are_cells_with_their_changes_and_intervals() -> None:
    whole = material(study(noisy(1), noisy(2)))
    finder, slopes = drawn(scatter_figures(whole))[0]
    data = data_of(finder)
    assert data.rows == ("pos\nfull", "pos\nlinear")
    assert data.columns == ("cosine\nlayer 8",)
    text, points = data.panels[0, 0]
    assert text.startswith("ρ = ")
    assert len(points) == len(TARGETS) * len(VARIANTS) * len(PAIRS)
    assert whole.results is not None
    changes = accuracy_changes(whole.results, ("pos", "full"), SOURCE).of
    assert sorted(point.y for point in points) == pytest.approx(
        sorted(100 * value for value in changes.values())
    )
    assert all(point.low < point.y < point.high for point in points)
    assert "value" in data_of(slopes).columns[0]
    assert "Value: not measured of the untouched encoder" in slopes.caption


def test_intervals_of_scores_are_those_of_paired_differences_over_seeds() -> None:
    score = noisy(3)
    whole = material(study(score, smooth))
    assert whole.results is not None
    found = score_intervals(whole.results, ("pos", "full"), SOURCE)
    assert set(found) == set(accuracy_changes(whole.results, ("pos", "full"), SOURCE).of)
    (values,) = (
        [row["value"] for row in rows]
        for rows in [
            [
                row
                for row in study(score, smooth)
                if (row["variant"], row["pair"], row["language"], row["mode"], row["metric"])
                == ("S1W0M0", "kaz-kor", "jpn", "full", "accuracy")
            ]
        ]
    )
    base = [score({}, "jpn", seed) for seed in SEEDS]
    expected = paired_t_interval([a - b for a, b in zip(values, base, strict=True)])
    assert found["hictl", "S1W0M0", "kaz-kor", "jpn"] == pytest.approx(expected)


def with_alignments(rows: list[Row], *shifts: float) -> list[Row]:
    """The rows, and those of aligned encoders again for alignment seeds 43, 44, ... with a shift."""
    tuned = [r for r in rows if r["arm"] == "aligned" and r["metric"] == "accuracy"]
    return rows + [
        r | {"align_seed": 43 + place, "key": f"{r['key']}{place}", "value": r["value"] + shift}
        for place, shift in enumerate(shifts)
        for r in tuned
    ]


def test_intervals_of_scores_let_alignment_seeds_vary() -> None:
    """As far as seeds of alignment differ, the intervals are wider than those of one of them."""
    rows = study(noisy(4), smooth)
    whole, thrice = material(rows), material(with_alignments(rows, -0.3, 0.3))
    assert whole.results is not None
    assert thrice.results is not None
    one = score_intervals(whole.results, ("pos", "full"), SOURCE)
    three = score_intervals(thrice.results, ("pos", "full"), SOURCE)
    assert set(one) == set(three)
    for name, (low, high) in one.items():
        assert sum(three[name]) == pytest.approx(low + high)
        error = 0.3 / 3**0.5
        assert three[name][1] - three[name][0] > 2 * error * 2.776  # t with 4 degrees of freedom


def test_a_cell_that_lacks_a_run_of_one_alignment_is_left_out() -> None:
    rows = with_alignments(study(noisy(4), smooth), 0.1)
    complete = material(rows).results
    lost = next(r for r in rows if r["align_seed"] == 43 and r["language"] == "jpn")
    lost |= {"status": "failed", "value": None}
    lacking = material(rows).results
    assert complete is not None
    assert lacking is not None
    panel = (lost["task"], lost["mode"])
    before, after = (accuracy_changes(each, panel, SOURCE) for each in (complete, lacking))
    name = (lost["objective"], lost["variant"], lost["pair"], "jpn")
    assert set(before.of) - set(after.of) == {name}
    assert (before.left_out, after.left_out) == (0, 1)


def test_losses_of_several_alignments_are_one_line() -> None:
    encoder = ComparedEncoder("aligned", "hictl", "S1W0M0", "deu-eng")
    found = [
        Curve(encoder, AS_IT_IS, seed, (0, 10), {"loss": (float(seed), 1.0)}) for seed in (42, 44)
    ]
    drawing = drawn(curve_figures(Material(curves=found)))[0][0]
    ((line,),) = [lines for lines in data_of(drawing).panels.values() if lines]
    assert (line.name, line.y) == ("S1W0M0", (43.0, 1.0))
    assert "Means over 2 alignment seeds (42, 44)" in drawing.caption


def test_a_map_is_of_the_first_alignment_seed_and_says_so() -> None:
    """Axes of two alignments may be mirrored: their mean is nowhere."""
    rows, items = charted()
    tuned = [r for r in rows if r["arm"] == "aligned"]
    other = [r | {"align_seed": 43, "key": f"{r['key']}43", "value": -r["value"]} for r in tuned]
    rows += study(smooth, smooth)
    both = material(rows + other, items=items)
    first = read_probes(frame(rows + other), Selection(align_seed=42), PICTURED.wanted)
    (alone,), (drawing,) = (
        drawn(map_figures(each))[0]
        for each in (material(rows, items=items), replace(both, mapped=first))
    )
    assert data_of(drawing) == data_of(alone)
    assert "Alignment seed 42 alone" in drawing.caption
    assert "Alignment seed" not in alone.caption


def test_nothing_is_bold_where_seeds_vary_a_head_alone() -> None:
    """Of one frozen encoder an interval over heads says nothing of another alignment."""

    def bold(rows: list[Row], mode: str) -> tuple[bool, str]:
        found = [d for d in drawn(heat_figures(material(rows)))[0] if mode in d.name]
        sure = [change.sure for line in data_of(found[0]).changes for change in line]
        return any(sure), found[0].caption

    rows = study(smooth, smooth)
    for place, row in enumerate(rows):
        row["value"] += (place % 7) / 1e5
    assert bold(rows, "full")[0]
    linear, caption = bold(rows, "linear")
    assert not linear
    assert "Not tested (pos, linear)" in caption
    again, caption = bold(with_alignments(rows, 0.001, -0.001), "linear")
    assert again
    assert "Not tested" not in caption
    assert "and 3 alignment seeds leaves zero out" in caption


def test_intervals_are_left_out_where_they_would_hide_the_points() -> None:
    data = data_of(drawn(scatter_figures(material(study(noisy(1), noisy(2)))))[0][0])
    assert draw_points(data).axes[0].collections
    place, (text, points) = (0, 0), data.panels[0, 0]
    many = replace(data, panels={place: (text, [*points] * 4)})
    assert not draw_points(many).axes[0].collections


# Maps


def charted() -> tuple[list[Row], dict[Any, list[float]]]:
    """Three languages of two encoders, each at (its number, -its number), with two sentences."""
    rows: list[Row] = []
    items: dict[Any, list[float]] = {}
    tuned = {"arm": "aligned", "objective": "hictl", "variant": "S1W0M0", "pair": "deu-eng"}
    tuned |= {"align_step": 100, "align_seed": 42}  # type: ignore[dict-item]
    for number, code in enumerate(("eng", "deu", "kaz")):
        for encoder in ({}, tuned):
            for axis, sign in ((1, 1.0), (2, -1.0)):
                for layer in (6, 8, 12):
                    at = {"probe": "chart", "language": code, "layer": layer}
                    value = sign * number + layer
                    rows.append(base_row(metric=f"pca_{axis}", value=value, **at, **encoder))
                place = (ComparedEncoder("none"), (None, None), code)
                items[Measure("chart", f"pca_{axis}", 8), place] = [value - 1, value + 1]
    return rows, items


def test_languages_stand_at_their_means_with_their_sentences_around_them() -> None:
    rows, items = charted()
    found, _ = drawn(map_figures(material(study(smooth, smooth) + rows, items=items)))
    (only,) = found
    data: Maps = data_of(only)
    assert [title for title, _ in data.panels] == ["none", "S1W0M0"]
    clouds = {cloud.language: cloud for cloud in data.panels[0][1]}
    assert clouds["kaz"].middle == (10.0, 6.0)
    assert clouds["deu"].middle == (9.0, 7.0)
    assert clouds["kaz"].script == "Cyrl"
    assert clouds["deu"].look == clouds["eng"].look != clouds["kaz"].look
    assert len(clouds["kaz"].x) == len(clouds["kaz"].y) == 2
    assert data.panels[1][1][0].x == ()
    assert "layer 8" in only.caption


def test_names_on_a_map_do_not_lie_on_each_other() -> None:
    look = data_of(drawn(map_figures(material(*_charted())))[0][0]).panels[0][1][0].look
    crowd = tuple(
        Cloud(f"l{number:02d}", "Latn", look, (0.0, 1.0), (0.0, 1.0), (0.5, 0.5 + number / 1e3))
        for number in range(12)
    )
    figure = draw_maps(Maps((("none", crowd),)))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 12
    overlaps = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert not overlaps


def _charted() -> tuple[list[Row]]:
    return (study(smooth, smooth) + charted()[0],)


# Losses


def test_losses_by_term_and_by_task() -> None:
    alignment, finetuning = drawn(curve_figures(Material(curves=curves(), style=study_style())))[0]
    data = data_of(alignment)
    assert data.rows == ("weighted sum", "sentence")
    assert data.columns == PAIRS
    assert line(data, 0, 0, "S0W1M0").y == (4.0, 1.0)
    assert line(data, 1, 1, "S0W1M0").x == (0.0, 10.0)
    data = data_of(finetuning)
    assert data.rows == ("pos\nfull",)
    assert [each.name for each in data.panels[0, 0]] == ["none", *ORDER]
    assert line(data, 0, 0, "none").y == pytest.approx((2 + (15 + 33) / 2, 1.0, 0.5))


def test_means_over_seeds_are_taken_where_all_of_them_have_a_loss() -> None:
    first, *others = [c for c in curves() if c.encoder == ComparedEncoder("none")]
    shorter = replace(first, steps=(0, 20), losses={"loss": (1.0, 3.0)})
    data = data_of(drawn(curve_figures(Material(curves=[shorter, *others])))[0][0])
    assert line(data, 0, 0, "none").x == (0.0, 20.0)


# What there is no data for


def test_an_empty_run_has_no_figure_and_says_why() -> None:
    empty = Material(background=PICTURED)
    functions = (heat_figures, scatter_figures, layer_figures, map_figures, curve_figures)
    for function in functions:
        found, lacking = drawn(function(empty))
        assert not found
        assert lacking
        assert all(each.title and each.reason for each in lacking)


def test_a_panel_without_lines_says_so() -> None:
    grid = LineGrid(
        ("one",), ("a", "b"), {(0, 0): [Series("x", curves_look(), (0, 1), (1, None))]}, "x", "y"
    )
    first, second = draw_lines(grid).axes
    assert "no data" not in [text.get_text() for text in first.texts]
    assert "no data" in [text.get_text() for text in second.texts]


def curves_look() -> Any:
    return (
        data_of(drawn(curve_figures(Material(curves=curves(), style=study_style())))[0][0])
        .panels[0, 0][0]
        .look
    )
