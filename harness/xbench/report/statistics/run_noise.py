"""The noise of an effect that was measured in several runs: alignment seeds by fine-tuning seeds.

With one alignment seed the noise is that of fine-tuning alone. With several, both kinds of seeds
are crossed: every alignment is fine-tuned with the same seeds as the untouched encoder.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from xbench.api.claim import Effect
from xbench.report.results.results import NOT_TUNED, Run
from xbench.report.statistics.inference import PAIRED_T, SPREADLESS, crossed_error, mean_effect
from xbench.report.statistics.stats import mean_sd

HEAD_ALONE = "linear"
"""The mode in which the encoder is frozen, so that fine-tuning seeds vary the head and nothing else."""
SEEDS, ALIGN_SEEDS = "fine-tuning seeds", "alignment seeds"
EITHER = "seeds of each kind"


def alignments(runs: Iterable[Run]) -> tuple[int, ...]:
    """The alignment seeds of some runs, in order."""
    return tuple(sorted({run.align_seed for run in runs if run.align_seed is not None}))


def is_of_one_checkpoint(mode: str, count: int) -> bool:
    """Whether seeds say nothing of the encoder: one alignment (of ``count``), and it is frozen."""
    return mode == HEAD_ALONE and count == 1


def effect_over(values: Mapping[Run, float]) -> Effect:
    """The mean over runs, with the error of :func:`xbench.report.statistics.inference.crossed_error`.

    With one alignment seed, or none, that is Student's over fine-tuning seeds. ``n`` counts the
    kind of seeds of which there are fewer. Without an error the reason says why.
    """
    rows, columns = alignments(values), sorted({run.seed for run in values})
    if len(rows) < 2:
        return mean_effect(list(values.values()), SEEDS)
    mean, _ = mean_sd(list(values.values()))
    tuned = columns != [NOT_TUNED]
    unit, n = (EITHER, min(len(rows), len(columns))) if tuned else (ALIGN_SEEDS, len(rows))
    if len(values) < len(rows) * len(columns):
        return Effect(mean, n=n, unit=unit, reason="an alignment lacks fine-tuning seeds")
    if tuned and n < 2:
        return Effect(mean, n=n, unit=unit, reason=f"no test with one of {SEEDS}: run more")
    table = np.array([[values[Run(seed, row)] for seed in columns] for row in rows])
    error, freedom = crossed_error(table) or (0.0, 0.0)
    if error <= SPREADLESS:
        return Effect(mean, n=n, unit=unit, reason=f"all {unit} agree: no spread to test against")
    test = f"crossed t ({len(rows)} alignment x {len(columns)} fine-tuning)" if tuned else PAIRED_T
    return Effect(mean, error, freedom, n, unit, test)
