"""A whole study as tidy results, in which every effect is set by hand."""

import itertools
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from xbench.report.claims.view import RunView
from xbench.report.results.background import Background
from xbench.report.results.reading import COLUMNS
from xbench.report.results.results import Selection

LANGUAGES = ("eng", "deu", "spa", "bul", "rus", "hin", "kaz")
SOURCE, TARGETS = LANGUAGES[0], LANGUAGES[1:]
SCRIPTS = dict.fromkeys(("eng", "deu", "spa"), "Latn") | {"hin": "Deva"}
SCRIPTS |= dict.fromkeys(("bul", "rus", "kaz"), "Cyrl")
PAIRS = ("deu-eng", "hin-kaz")
SWITCHES = [s for s in itertools.product((0, 1), repeat=3) if any(s)]
VARIANTS = tuple(f"S{s}W{w}M{m}" for s, w, m in SWITCHES)
SEEDS = (15, 33, 42, 7, 8, 9)
ALIGN_SEEDS = (42, 43, 44)
GROUPS = {
    "G1: aligned": ("deu-eng", "kaz-eng"),
    "G3: non-aligned": ("hin-eng", "rus-eng", "spa-eng", "bul-eng"),
    "G4: same script": ("rus-bul", "deu-spa"),
}
BACKGROUND = Background(groups=GROUPS, scripts=SCRIPTS, layers=12)
Change = Callable[..., float]
Row = dict[str, Any]


def nothing(**place: Any) -> float:
    """No change anywhere."""
    return 0.0


@cache  # places come again and again, and each takes a generator of its own
def noise(*place: Any) -> float:
    """A number of its own for every place: standard normal, always the same."""
    seed = [ord(letter) for letter in f"studied {place}"]
    return float(np.random.default_rng(seed).normal())


def encoders(shuffled: bool = True) -> list[Row]:
    """The untouched encoder, all variants on both pairs, and a placebo of the first."""
    aligned = [
        {"arm": "aligned", "objective": "hictl", "variant": v, "pair": p, "align_seed": 42}
        for v, p in itertools.product(VARIANTS, PAIRS)
    ]
    placebos = [row | {"arm": "shuffled"} for row in aligned if row["variant"] == "S1W0M0"]
    return [{"arm": "none"}, *aligned, *(placebos if shuffled else [])]


def score_rows(
    change: Change,
    spread: float = 0.002,
    seeds: tuple[int, ...] = SEEDS,
    align_seeds: tuple[int, ...] = ALIGN_SEEDS[:1],
) -> list[Row]:
    """Scores of every encoder: a base by language and task, ``change(**place)``, and noise."""
    rows = []
    panels = itertools.product(("pos", "topic"), ("full", "linear"))
    base, *aligned = encoders()
    each = [base, *(row | {"align_seed": seed} for row in aligned for seed in align_seeds)]
    for encoder, (task, mode) in itertools.product(each, panels):
        for language, seed in itertools.product(LANGUAGES, seeds):
            place = encoder | {"task": task, "mode": mode, "language": language, "seed": seed}
            value = 0.5 + 0.02 * LANGUAGES.index(language) + spread * noise(*place.values())
            value += 0.0 if encoder["arm"] == "none" else change(**place)
            rows.append(place | {"split": "test", "metric": "accuracy", "value": value, "n": 200})
    return rows


def probe_rows(
    probe: str, metric: str, change: Change, layers: tuple[int, ...] = (4, 8, 12)
) -> list[Row]:
    """A measure of all pairs of languages by layer: 0.4, ``change(**place)``, and noise."""
    pairs = dict.fromkeys([f"{code}-{SOURCE}" for code in TARGETS])
    pairs |= dict.fromkeys(pair for of_group in GROUPS.values() for pair in of_group)
    rows = []
    for encoder, pair, layer in itertools.product(encoders(), pairs, layers):
        place = encoder | {"language": pair, "layer": layer}
        value = 0.4 + 0.002 * noise(metric, *place.values())
        value += 0.0 if encoder["arm"] == "none" else change(**place)
        rows.append(place | {"probe": probe, "metric": metric, "value": value})
    return rows


def gradient_rows(cosine: Change) -> list[Row]:
    """Cosines of task and objective for each language, of aligned encoders alone."""
    rows = []
    for encoder, task, code in itertools.product(encoders()[1:], ("pos", "topic"), LANGUAGES):
        place = encoder | {"task": task, "language": code}
        value = cosine(**place) + 0.002 * noise(*place.values())
        named = {"probe": "gradients", "metric": "task_vs_objective_cosine"}
        rows.append(place | named | {"value": value})
    return rows


def frame(rows: list[Row]) -> pd.DataFrame:
    """The rows as the tidy table."""
    shared: Mapping[str, Any] = {"suite": "paper", "model": "base", "status": "done"}
    whole = []
    for number, row in enumerate(rows):
        step = {"align_step": 100} if row["arm"] != "none" else {}
        whole.append(dict(shared) | step | {"key": str(number)} | row)
    return pd.DataFrame(whole, columns=[*COLUMNS])


def view(rows: list[Row]) -> RunView:
    """The rows as claims see them."""
    return RunView(frame(rows), Selection(), BACKGROUND, SOURCE)
