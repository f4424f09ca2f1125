"""Pairs that share languages: the level of the test and the coverage of the interval, simulated."""

from collections.abc import Mapping

import numpy as np
import pytest

from xbench.catalogue.registry import load_registry
from xbench.report.statistics.inference import group_effect, interval, mean_effect, p_beyond
from xbench.report.statistics.pair_effect import FEWEST_LANGUAGES, TEST, UNIT, pair_effect

GROUPS = {
    name: group.pairs for name, group in load_registry().suites["paper"].retrieval_groups.items()
}
PAIRS = [pair for pairs in GROUPS.values() for pair in pairs]
OTHERS = [pair for pair in PAIRS if pair not in GROUPS["G3"]]
STUDIES = 400


def study(share: float, number: int, effect: float = 0.0) -> dict[str, float]:
    """Values of the study's 26 pairs, of variance 1, of which languages have a share."""
    random = np.random.default_rng([number, int(100 * share)])
    codes = sorted({code for pair in PAIRS for code in pair.split("-")})
    own = dict(zip(codes, random.normal(size=len(codes)) * np.sqrt(share / 2), strict=True))
    noise = random.normal(size=len(PAIRS)) * np.sqrt(1 - share)
    return {
        pair: effect + sum(own[code] for code in pair.split("-")) + float(e)
        for pair, e in zip(PAIRS, noise, strict=True)
    }


def halves(values: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """The other groups of pairs, and G3."""
    return {p: values[p] for p in OTHERS}, {p: values[p] for p in GROUPS["G3"]}


def positive(share: float, of: str, effect: float = 0.0) -> float:
    """How often a test at 5 % is positive; without an effect 1 less the coverage of the interval."""
    found = 0
    for number in range(STUDIES):
        values = study(share, number, effect)
        one = pair_effect(values) if of == "mean" else pair_effect(*halves(values))
        bounds = interval(one)
        assert bounds is not None
        excluded = not bounds[0] <= 0 <= bounds[1]
        p = p_beyond(one)
        assert p is not None
        assert (p < 0.05) == excluded
        found += excluded
    return found / STUDIES


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("of", ["mean", "difference"])
def test_a_test_at_5_percent_is_falsely_positive_in_no_more(share: float, of: str) -> None:
    assert positive(share, of) < 0.075  # four standard errors above what 4,000 studies give


def test_a_test_over_independent_pairs_would_be() -> None:
    """What is mended here: of the same studies it calls a third significant."""
    found = [p_beyond(mean_effect(list(study(0.8, n).values()), UNIT)) for n in range(STUDIES)]
    assert sum(p is not None and p < 0.05 for p in found) / STUDIES > 0.25


def test_it_finds_what_is_there() -> None:
    assert positive(0.25, "mean", effect=1.0) > 0.6
    assert positive(0.0, "mean", effect=1.0) > 0.8


def test_the_model_is_the_slow_and_obvious_one() -> None:
    """Its moments, sum by sum over two pairs at a time."""
    values = study(0.5, 3)
    numbers = np.array(list(values.values()))
    sets = [set(pair.split("-")) for pair in values]
    count = len(sets)
    left = numbers - numbers.mean()
    common = np.array([[len(a & b) for b in sets] for a in sets], dtype=float)
    sharing = [(i, j) for i in range(count) for j in range(count) if i != j and common[i, j]]

    # what the two products are expected to be: centring takes the mean's part away
    def expected(covariance: np.ndarray) -> tuple[float, float]:
        centred = covariance - covariance.mean(0) - covariance.mean(1)[:, None] + covariance.mean()
        return float(np.trace(centred)), float(sum(centred[i, j] for i, j in sharing))

    of_language, of_pair = expected(common), expected(np.eye(count))
    seen = [float(left @ left), float(sum(left[i] * left[j] for i, j in sharing))]
    matrix = np.array([[of_language[0], of_pair[0]], [of_language[1], of_pair[1]]])
    language, pair = np.linalg.solve(matrix, seen)
    assert language > 0 < pair
    variance = (language * common.sum() + pair * count) / count**2
    effect = pair_effect(values)
    assert effect.value == pytest.approx(numbers.mean())
    assert effect.error == pytest.approx(np.sqrt(variance))
    assert effect.test == TEST


def test_the_order_of_pairs_and_of_their_languages_changes_nothing() -> None:
    values = study(0.5, 1)
    turned = {"-".join(pair.split("-")[::-1]): value for pair, value in reversed(values.items())}
    one, other = pair_effect(values), pair_effect(turned)
    assert other.error == pytest.approx(one.error)
    assert other.freedom == pytest.approx(one.freedom)


def test_pairs_that_share_nothing_are_independent() -> None:
    values = {"a-b": 0.1, "c-d": 0.3, "e-f": 0.2}
    assert pair_effect(values) == mean_effect(list(values.values()), UNIT)
    second = {"g-h": 0.1, "i-j": 0.5}
    assert pair_effect(values, second) == group_effect([0.1, 0.3, 0.2], [0.1, 0.5], UNIT)


def test_a_language_in_every_pair_is_part_of_the_question() -> None:
    values = {"a-eng": 0.1, "eng-b": 0.3, "c-eng": 0.2}
    assert pair_effect(values) == mean_effect(list(values.values()), UNIT)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "there are no values"),
        ({"a-b": 0.1}, "no test with one of"),
        ({"a-b": 0.1, "a-c": 0.1}, "all pairs of languages agree"),
        ({"a-b": 0.1, "b-c": 0.2, "a-c": 0.4}, f"fewer than {FEWEST_LANGUAGES} languages"),
    ],
)
def test_where_there_is_no_verdict_a_reason_says_why(values: dict[str, float], reason: str) -> None:
    effect = pair_effect(values)
    assert effect.error is None
    assert reason in effect.reason


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        pair_effect({"a-b": 0.1, "b-c": float("nan")})
