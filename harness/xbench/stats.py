"""The statistics that tables need: means with their spread, intervals of paired differences.

Everything is float64 and refuses values that are not finite.
"""

import math
from collections.abc import Sequence


def mean_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and the standard deviation with n - 1; no deviation (None) for a single value.

    Raises ``ValueError`` for no values, or values that are not finite.
    """
    if len(values) == 0:
        raise ValueError("the mean of no values is undefined")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"values must be finite, got {list(values)}")
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return mean, None
    squares = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(squares / (count - 1))


def paired_t_interval(
    differences: Sequence[float], level: float = 0.95
) -> tuple[float, float] | None:
    """The two-sided Student interval of the mean of paired differences.

    ``mean ± t(n - 1) * sd / sqrt(n)``; None for fewer than two differences, and an interval of no
    width where all of them are equal. With n = 3 it rests on two degrees of freedom: wide, but it
    covers what it claims for normal differences, where a bootstrap over three values does not.

    Raises ``ValueError`` for a level outside (0, 1), or differences that are not finite.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    if len(differences) < 2:
        return None
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    mean, sd = mean_sd(differences)
    assert sd is not None
    quantile = float(stdtrit(len(differences) - 1, 0.5 + level / 2))
    half = quantile * sd / math.sqrt(len(differences))
    return mean - half, mean + half
