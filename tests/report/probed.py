"""A study with probes as a tidy results table: two pairs, three variants, eight languages."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from xbench.report.results.background import Background, ProbeTable

TARGETS = ("bul", "deu", "hin", "jpn", "kaz", "kor", "spa")
SOURCE = "eng"
PAIRS = ("deu-eng", "kaz-kor")
VARIANTS = ("S0W1M0", "S0W0M1", "S1W0M0")
SEEDS = (15, 33, 42)
SCRIPTS = dict.fromkeys(("deu", "eng", "spa"), "Latn") | dict.fromkeys(("bul", "kaz"), "Cyrl")
SCRIPTS |= {"hin": "Deva", "jpn": "Jpan", "kor": "Hang"}
DISTANCES = {
    code: {"syntactic": distance}
    for code, distance in zip(TARGETS, (0.3, 0.35, 0.6, 0.7, 0.65, 0.72, 0.4), strict=True)
}
Number = Callable[..., float]
Row = dict[str, Any]

GROUPS = {"G1: aligned": ("deu-eng", "kaz-eng"), "G4: other": ("hin-kas_Deva", "spa-bul")}
BACKGROUND = Background(
    tables={
        "table2": ProbeTable("pairs", "Similarity", "finder", {"cosine": "cosine"}, depth=2 / 3),
        "shares": ProbeTable("pairs", "Found", "finder", {"forward": "found"}, percent=True),
        "table3": ProbeTable("languages", "Slopes", "slopes", {"agreement": "agreement"}),
        "figure1": ProbeTable("depths", "Depth", "finder", {"cosine": "cosine"}),
    },
    groups=GROUPS,
    measures={"finder": ("cosine",), "slopes": ("agreement",)},
    scripts=SCRIPTS,
    distances=DISTANCES,
)


def base_row(**given: Any) -> Row:
    """A done row of the untouched encoder, unless told otherwise."""
    names = ("objective", "variant", "pair", "align_step", "align_seed", "task", "mode", "seed")
    columns: Row = dict.fromkeys((*names, "probe", "layer", "split", "reason"))
    columns |= {"suite": "paper", "model": "base", "arm": "none", "n": 100, "status": "done"}
    columns |= given
    place = [columns[name] for name in ("arm", *names, "probe")]
    return {"key": "/".join(map(str, place))} | columns


def encoders() -> list[Row]:
    """What the rows of each encoder have in common."""
    tuned = {"arm": "aligned", "objective": "hictl", "align_step": 100, "align_seed": 42}
    return [
        {},
        *(tuned | {"variant": v, "pair": p} for p, v in itertools.product(PAIRS, VARIANTS)),
    ]


def study(accuracy: Number, cosine: Number, **options: Any) -> list[Row]:
    """Accuracy in two modes, cosines of pairs at two layers, agreement of aligned encoders alone.

    ``accuracy(encoder, language, seed)``, ``cosine(encoder, language, layer)``; ``finetuned``
    adds the cosines after fine-tuning, 0.1 less.
    """
    rows: list[Row] = []
    for encoder in encoders():
        for mode, language, seed in itertools.product(
            ("full", "linear"), (SOURCE, *TARGETS), SEEDS
        ):
            at = {"task": "pos", "mode": mode, "seed": seed, "language": language, "split": "test"}
            value = accuracy(encoder, language, seed)
            rows.append(base_row(metric="accuracy", value=value, **at, **encoder))
        conditions: list[Row] = [{}]
        if options.get("finetuned"):
            conditions += [{"task": "pos", "mode": "full", "seed": seed} for seed in SEEDS]
        for condition, layer, language in itertools.product(conditions, (8, 12), TARGETS):
            value = cosine(encoder, language, layer) - (0.1 if condition else 0)
            at = {"probe": "finder", "language": f"{language}-{SOURCE}", "layer": layer}
            shared = at | condition | encoder
            rows.append(base_row(metric="cosine", value=value, **shared))
            rows.append(base_row(metric="found", value=value / 2, **shared))
        for condition in conditions:
            at = {"probe": "finder", "language": "spa-bul", "layer": 8} | condition
            value = 0.15 if condition else 0.25
            rows.append(base_row(metric="cosine", value=value, **at, **encoder))
        for language in (SOURCE, *TARGETS) if encoder else ():
            for layer in (None, 1):
                at = {"probe": "slopes", "language": language, "layer": layer, "task": "pos"}
                value = cosine(encoder, language, 8) / 10
                rows.append(base_row(metric="agreement", value=value, **at, **encoder))
    return rows


def smooth(encoder: Row, language: str, where: int) -> float:
    """Some number between 0.4 and 0.7 of each place; seeds and layers move it a little."""
    place = (*TARGETS, SOURCE).index(language)
    variant = 1 + VARIANTS.index(encoder["variant"]) if encoder else 0
    pair = PAIRS.index(encoder["pair"]) if encoder else 0
    return 0.4 + 0.02 * place + 0.03 * variant + 0.005 * pair * place + 0.0003 * where


def noisy(seed: int) -> Number:
    """Numbers around 0.5, the same for the same place."""
    rng = np.random.default_rng(seed)
    known: dict[Any, float] = {}

    def value(encoder: Row, language: str, where: int) -> float:
        place = (tuple(sorted(encoder.items())), language, where)
        return known.setdefault(place, float(rng.normal(0.5, 0.05)))

    return value


def frame(rows: list[Row]) -> pd.DataFrame:
    """As the results table gives it: whole numbers that may be lacking."""
    whole = ["align_step", "align_seed", "seed", "layer", "n"]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64") | {"value": "float64"})
