"""Intervals over test items: what is paired with what, by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xbench.report.results.reading import read_results
from xbench.report.results.results import ComparedEncoder, Selection
from xbench.report.statistics.inference import PairedItems, interval, item_effect
from xbench.report.style import Style
from xbench.report.tables.item_noise import (
    ItemReader,
    PerItem,
    effect_of,
    item_tables,
    seed_effect,
)

from .conftest import Make

TREATED = ComparedEncoder("aligned", "hictl", "A", "deu-eng")
PANEL = ("pos", "full")
Read = Callable[[str, str], PerItem | None]


def accuracy(sums: Any) -> Any:
    return sums[..., 0] / sums[..., 1]


def answers(key: str, count: int = 60) -> Any:
    """[n, 2] labels right, labels: half are right, more after alignment; by key and item."""
    rng = np.random.default_rng([ord(letter) for letter in key])
    chance = 0.7 if "aligned" in key else 0.5
    return np.stack([rng.random(count) < chance, np.ones(count)], axis=-1).astype(float)


def names(count: int = 60) -> list[str]:
    return [f"{number:03}" for number in range(count)]


def reader(read: Read | None = None, parallel: bool = True) -> ItemReader:
    found = read or (lambda task, key: (names(), answers(key)))
    return ItemReader(found, lambda task: accuracy, lambda task: parallel)


def study(make: type[Make]) -> pd.DataFrame:
    return pd.DataFrame(make.block(value=0.5) + make.block(value=0.7, **make.aligned("A")))


def test_every_cell_is_paired_with_its_own(make: type[Make]) -> None:
    frame = study(make)
    effect = effect_of(read_results(frame, Selection()), PANEL, TREATED, reader())
    base = frame[frame["arm"] == "none"].set_index(["language", "seed"])["key"]
    treated = frame[frame["arm"] == "aligned"].set_index(["language", "seed"])["key"]
    cells = [
        PairedItems(names(), answers(base[place]), answers(treated[place])) for place in base.index
    ]
    assert len(cells) == 9
    changes = [accuracy(c.after.sum(0)) - accuracy(c.before.sum(0)) for c in cells]
    assert effect.value == pytest.approx(np.mean(changes))
    assert interval(effect) == pytest.approx(interval(item_effect(cells, accuracy)))
    assert effect.n == 60


def test_items_are_matched_by_name(make: type[Make]) -> None:
    """In another order after alignment, and one of them lost."""
    order = np.random.default_rng(0).permutation(60)[:-1]

    def read(task: str, key: str) -> PerItem:
        if "aligned" not in key:
            return names()[:], answers(key)
        return [names()[n] for n in order], answers(key)[order]

    results = read_results(study(make), Selection())
    effect = effect_of(results, PANEL, TREATED, reader(read))
    kept = sorted(order)

    def cut(task: str, key: str) -> PerItem:
        return [names()[n] for n in kept], answers(key)[kept]

    expected = effect_of(results, PANEL, TREATED, reader(cut))
    assert (effect.value, effect.error, effect.n) == (expected.value, expected.error, 59)


def test_the_same_id_in_two_treebanks_is_not_the_same_sentence(make: type[Make]) -> None:
    """Unless the data set is parallel, the 60 items of each of three languages are its own."""
    results = read_results(study(make), Selection())
    shared = effect_of(results, PANEL, TREATED, reader())
    own = effect_of(results, PANEL, TREATED, reader(parallel=False))
    assert (shared.n, own.n) == (60, 180)
    assert own.value == shared.value

    def by_language(task: str, key: str) -> PerItem:
        # a run's key ends with its seed and language
        code = key.split("-")[-1]
        return [f"{code} {name}" for name in names()], answers(key)

    expected = effect_of(results, PANEL, TREATED, reader(by_language))
    assert (own.n, own.error) == (expected.n, expected.error)


def test_an_id_that_comes_twice_is_two_items(make: type[Make]) -> None:
    """Files repeat ids, or have none: what was compared before was the last of them."""
    results = read_results(study(make), Selection())

    def without_ids(task: str, key: str) -> PerItem:
        return [""] * 60, answers(key)

    found = effect_of(results, PANEL, TREATED, reader(without_ids))
    expected = effect_of(results, PANEL, TREATED, reader())
    assert found.n == 60
    assert found.value == pytest.approx(expected.value)


def test_lost_predictions_and_failed_cells_leave_a_gap(make: type[Make]) -> None:
    results = read_results(study(make), Selection())
    lost = reader(lambda task, key: None if "33-kaz" in key else (names(), answers(key)))
    assert effect_of(results, PANEL, TREATED, lost).reason == (
        "incomplete: no predictions of kaz, seed 33"
    )
    frame = study(make)
    failed = frame["arm"].eq("aligned") & frame["language"].eq("deu") & frame["seed"].eq(15)
    frame.loc[failed, ["status", "value"]] = ["failed", None]
    gap = effect_of(read_results(frame, Selection()), PANEL, TREATED, reader())
    assert (gap.value, gap.reason) == (None, "incomplete: no predictions of deu, seed 15")


def test_the_table(make: type[Make]) -> None:
    (table,) = item_tables(read_results(study(make), Selection()), reader(), Style())
    assert [row.label for row in table.rows] == ["deu-eng A"]
    assert [(c.group, c.label) for c in table.columns] == [
        (("pos, full",), "items"),
        (("pos, full",), "seeds and items"),
    ]
    ((cell, both),) = table.cells
    assert both.text == "–"  # scores of the table are the same for all seeds
    assert cell.value is not None
    assert cell.text == f"+{100 * cell.value:.1f}"
    assert cell.details[0].startswith("[+")
    assert "conditional on these seeds" in table.caption
    assert "paired bootstrap" in table.caption


def test_seeds_and_items_together_have_both_errors(make: type[Make]) -> None:
    """Scores are what the answers say, so that seeds differ as the answers do."""
    rows = (
        make.block()
        + make.block(**make.aligned("A"))
        + make.block(**make.aligned("A", align_seed=43))
    )
    for row in rows:
        row["value"] = accuracy(answers(row["key"]).sum(0))
    results = read_results(pd.DataFrame(rows), Selection())
    seeds, items = (
        seed_effect(results, PANEL, TREATED),
        effect_of(results, PANEL, TREATED, reader()),
    )
    assert seeds.value == pytest.approx(items.value)
    assert seeds.test == "crossed t (2 alignment x 3 fine-tuning)"
    assert seeds.error is not None
    assert items.error is not None
    (table,) = item_tables(results, reader(), Style())
    change = table.cells[0][1].difference
    assert change is not None
    assert change.low is not None
    assert change.high is not None
    squares = seeds.error**2, items.error**2
    freedom = sum(squares) ** 2 / (squares[0] ** 2 / 1 + squares[1] ** 2 / 59)
    width = max(
        2 * stats.t.ppf(0.975, freedom) * sum(squares) ** 0.5,
        2 * stats.t.ppf(0.975, 1) * seeds.error,
        2 * stats.t.ppf(0.975, 59) * items.error,
    )
    assert change.high - change.low == pytest.approx(width)
    assert any("Averages over 2 alignment seeds (42, 43)" in note for note in table.notes)


def test_every_alignment_is_paired_and_one_that_is_lost_is_named(make: type[Make]) -> None:
    rows = make.block(value=0.5)
    for seed in (42, 43):
        rows += make.block(value=0.7, **make.aligned("A", align_seed=seed))
    results = read_results(pd.DataFrame(rows), Selection())
    seen: list[str] = []

    def read(task: str, key: str) -> PerItem | None:
        seen.append(key)
        return None if "43-pos-full-33-kaz" in key else (names(), answers(key))

    lost = effect_of(results, PANEL, TREATED, reader(read))
    assert lost.reason == "incomplete: no predictions of kaz, align seed 43, seed 33"
    effect_of(results, PANEL, TREATED, reader())
    assert {key for key in seen if "43-pos" in key} != set()


def test_gaps_are_shown_and_explained(make: type[Make]) -> None:
    lost = reader(lambda task, key: None)
    (table,) = item_tables(read_results(study(make), Selection()), lost)
    assert table.cells[0][0].text == "incomplete"
    assert any("No predictions" in n or "no predictions" in n for n in table.notes)


def test_without_untouched_or_aligned_encoders_there_is_none(make: type[Make]) -> None:
    for rows in (make.block(), make.block(**make.aligned("A"))):
        assert item_tables(read_results(pd.DataFrame(rows), Selection()), reader()) == []
