"""The language classifier against scikit-learn used plainly."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from xbench_plugins.measures.languages import Sentences, guess_languages

from .vectors import vectors

CODES = ("deu", "eng", "kaz")


def sentences(shift: float, count: int = 40) -> Sentences:
    """The same sentences in three languages, each with its own noise and ``shift`` apart."""
    said = vectors(count, 1)
    parts = [said + 0.3 * vectors(count, 2 + n) for n in range(3)]
    moved = [part + shift * n * torch.eye(6)[0] for n, part in enumerate(parts)]
    ids = [f"s{n:03}" for n in range(count)]
    return Sentences(torch.cat(moved), [c for c in CODES for _ in ids], ids * 3)


def plainly(given: Sentences, folds: int) -> np.ndarray:
    order = np.lexsort([given.languages, given.ids])
    x, y = given.vectors.numpy()[order], np.array(given.languages)[order]
    groups = np.array(given.ids)[order]
    right = np.zeros(len(y), dtype=bool)
    for train, test in GroupKFold(folds).split(x, y, groups):
        assert not set(groups[train]) & set(groups[test])
        scaler = StandardScaler().fit(x[train])
        model = LogisticRegression(max_iter=1000).fit(scaler.transform(x[train]), y[train])
        right[test] = model.predict(scaler.transform(x[test])) == y[test]
    back = np.empty_like(right)
    back[order] = right
    return back


@pytest.mark.parametrize("shift", [0.0, 0.7, 5.0])
@pytest.mark.parametrize("folds", [2, 5])
def test_it_equals_scikit_learn_used_plainly(shift: float, folds: int) -> None:
    found = guess_languages(sentences(shift), folds)
    expected = plainly(sentences(shift), folds)
    np.testing.assert_array_equal(found.right, expected)
    assert not found.note
    assert {0.0: 0.15, 0.7: 0.45, 5.0: 0.93}[shift] <= found.right.mean()


def test_what_says_nothing_of_the_language_is_guessed_at_chance() -> None:
    given = sentences(0.0, 200)
    right = guess_languages(given).right
    assert right.mean() == pytest.approx(1 / 3, abs=5 * (2 / 9 / 600) ** 0.5)


def test_translations_do_not_leak() -> None:
    # Clones: a classifier that saw a sentence's translations would know its language by exclusion.
    said = vectors(30, 1)
    ids = [f"s{n}" for n in range(30)]
    given = Sentences(said.repeat(2, 1), ["deu"] * 30 + ["eng"] * 30, ids * 2)
    assert guess_languages(given).right.mean() == pytest.approx(0.5)


def test_the_order_of_the_sentences_plays_no_part() -> None:
    given = sentences(0.7)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(4))
    mixed = Sentences(
        given.vectors[order],
        [given.languages[n] for n in order.tolist()],
        [given.ids[n] for n in order.tolist()],
    )
    np.testing.assert_array_equal(
        guess_languages(mixed).right, guess_languages(given).right[order.numpy()]
    )


def test_one_language_or_one_sentence_is_refused() -> None:
    one = Sentences(vectors(4, 1), ["deu"] * 4, list("abcd"))
    with pytest.raises(ValueError, match="two languages"):
        guess_languages(one)
    with pytest.raises(ValueError, match="two languages"):
        guess_languages(Sentences(vectors(2, 1), ["deu", "eng"], ["a", "a"]))
