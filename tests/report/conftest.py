"""A small study as a tidy results table, with numbers that can be followed by hand."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xbench.store.runs import SPEC

PANELS = (("pos", "full"), ("pos", "linear"), ("topic", "full"), ("topic", "linear"))
LANGUAGES = ("deu", "eng", "kaz")
SEEDS = (15, 33, 42)
Row = dict[str, Any]


def row(**given: Any) -> Row:
    """A done row of the untouched encoder on German tagging, unless told otherwise."""
    columns: Row = dict.fromkeys(("objective", "variant", "pair", "align_step", "align_seed"))
    columns |= {"suite": "mini", "model": "small", "arm": "none", "task": "pos", "mode": "full"}
    columns |= {"seed": 15, "language": "deu", "split": "test", "probe": None, "layer": None}
    columns |= {"metric": "accuracy", "value": 0.5, "n": 128, "status": "done", "reason": None}
    columns |= given
    names = ("arm", "objective", "variant", "pair", "align_step", "align_seed", "task", "mode")
    place = [columns[name] for name in (*names, "seed", "language")]
    return {"key": "-".join(map(str, place))} | columns


def block(languages: tuple[str, ...] = LANGUAGES, **given: Any) -> list[Row]:
    """Rows for all languages and seeds; ``value`` may be a function of (language, seed)."""
    value = given.pop("value", 0.5)
    return [
        row(
            language=language,
            seed=seed,
            value=value(language, seed) if callable(value) else value,
            **given,
        )
        for language, seed in itertools.product(languages, SEEDS)
    ]


def aligned(variant: str, pair: str = "deu-eng", **given: Any) -> Row:
    """What the rows of an aligned encoder have in common."""
    names = {"arm": "aligned", "objective": "hictl", "align_step": 100, "align_seed": 42}
    return names | {"variant": variant, "pair": pair} | given


def score(base: float, slope: float = 1.0) -> Callable[[str, int], float]:
    """Languages 0.1 apart; seeds -0.01, 0 and +0.01 times the slope around them."""

    def value(language: str, seed: int) -> float:
        return base + 0.1 * LANGUAGES.index(language) + 0.01 * slope * (SEEDS.index(seed) - 1)

    return value


def study_rows() -> list[Row]:
    """Two pairs, three variants, all controls, four panels; failures, a language without data."""
    rows: list[Row] = []
    for number, (task, mode) in enumerate(PANELS):
        panel: Row = {"task": task, "mode": mode}
        base = 0.5 + 0.05 * number
        rows += block(value=score(base), **panel)
        for place, (pair, variant) in enumerate(
            itertools.product(("deu-eng", "kaz-kor"), ("S0W1M0", "S0W0M1", "S1W0M0"))
        ):
            names = aligned(variant, pair) | panel
            rows += block(value=score(base + 0.01 * (place - 1), 1 + place), **names)
        rows += block(value=score(base - 0.02), **aligned("S1W0M0", arm="shuffled"), **panel)
    lost = {"pair": "kaz-kor", "variant": "S0W1M0", "task": "topic", "seed": 33}
    for failed in rows:
        if all(failed[name] == value for name, value in lost.items()):
            failed |= {"status": "failed", "value": None, "reason": "loss is NaN at step_7"}
    sentence = "UD has no Kashmiri treebank."
    rows.append(row(language="kas_Deva", status="unavailable", value=None, reason=sentence))
    return rows


class Make:
    """The functions above, for tests to build tables of their own."""

    row = staticmethod(row)
    block = staticmethod(block)
    aligned = staticmethod(aligned)
    score = staticmethod(score)
    languages, seeds = LANGUAGES, SEEDS


def run_folder(root: Path, spec: str = "suite: mini\n") -> Path:
    """The folder of a run in a store, with the spec that was asked for."""
    folder = root / "runs" / "x"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SPEC).write_text(spec, encoding="utf-8")
    return folder


@pytest.fixture
def make() -> type[Make]:
    return Make


@pytest.fixture
def study() -> pd.DataFrame:
    return pd.DataFrame(study_rows())
