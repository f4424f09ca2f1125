"""Procrustes against scipy; what it does where the sentences leave it open."""

import pytest
import scipy.linalg
import torch
from torch import Tensor

from xbench_plugins.transforms.procrustes import Procrustes, nearest_rotation

from .texts import SOURCE, Texts, noisy, random_texts, rotation


def of_scipy(x: Tensor, y: Tensor) -> Tensor:
    found, _ = scipy.linalg.orthogonal_procrustes(x.numpy(), y.numpy())
    return torch.from_numpy(found)


def assert_orthogonal(matrix: Tensor) -> None:
    identity = torch.eye(len(matrix), dtype=torch.float64)
    torch.testing.assert_close(matrix.T @ matrix, identity, rtol=0, atol=1e-10)


@pytest.mark.parametrize("centre", [True, False])
def test_it_is_the_rotation_of_scipy(centre: bool) -> None:
    texts = random_texts(noisy)
    mapped = Procrustes(Procrustes.Config(centre=centre))
    mapped.fit(texts)
    states = torch.randn(5, 8, dtype=torch.float64)
    y = texts.vectors(SOURCE)
    for language in texts.languages[1:]:
        x = texts.vectors(language)
        move_x, move_y = (x.mean(0), y.mean(0)) if centre else (0 * x[0], 0 * y[0])
        w = of_scipy(x - move_x, y - move_y)
        assert_orthogonal(mapped.fitted[f"rotation.{language}"])
        torch.testing.assert_close(mapped.fitted[f"rotation.{language}"], w)
        expected = (states - move_x) @ w + move_y
        torch.testing.assert_close(mapped.forward(states, language), expected)


@pytest.mark.parametrize("sentences", [2, 5, 8])
def test_with_fewer_sentences_than_dimensions_it_fits_as_well_as_any(sentences: int) -> None:
    texts = random_texts(noisy, languages=2, sentences=sentences)
    x, y = (texts.vectors(language) for language in texts.languages)
    w = nearest_rotation(x.T @ y)
    assert_orthogonal(w)
    best = (x @ of_scipy(x, y) - y).norm()
    torch.testing.assert_close((x @ w - y).norm(), best)


def test_among_equals_it_is_the_nearest_to_the_identity() -> None:
    texts = random_texts(noisy, languages=2, sentences=4)
    x, y = (texts.vectors(language) for language in texts.languages)
    w = nearest_rotation(x.T @ y)
    # A little weight on the identity decides between rotations that fit alike.
    almost = of_scipy(
        torch.cat([x, 1e-4 * torch.eye(8, dtype=torch.float64)]),
        torch.cat([y, 1e-4 * torch.eye(8, dtype=torch.float64)]),
    )
    torch.testing.assert_close(w, almost, rtol=0, atol=1e-5)
    assert (of_scipy(x, y) - almost).norm() > 0.1


def test_sentences_that_say_nothing_rotate_nothing() -> None:
    identity = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(nearest_rotation(torch.zeros_like(identity)), identity)


def test_a_reflection_may_be_the_best() -> None:
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(nearest_rotation(mirror * torch.tensor([3.0, 2.0, 1.0])), mirror)


def test_tokens_are_moved_by_their_own_means_and_rotated_by_the_sentences() -> None:
    turn = rotation(8, 3)
    texts = random_texts(lambda said, n: said @ turn if n else said, languages=2)
    tokens = {"qaa": texts.vectors("qaa") + 1, "qab": (texts.vectors("qaa") + 2) @ turn}
    view = Texts(texts.sentences, tokens, unit="token")
    mapped = Procrustes()
    mapped.fit(view)
    torch.testing.assert_close(mapped.fitted["rotation.qab"], turn.T)
    torch.testing.assert_close(mapped.forward(tokens["qab"], "qab"), tokens["qaa"])


def test_other_sentences_are_refused() -> None:
    texts = random_texts(noisy, languages=2)
    fewer = Texts({"qaa": texts.vectors("qaa"), "qab": texts.vectors("qab")[:-1]})
    with pytest.raises(ValueError, match=r"same sentences.* 49 are in qab and 50 in qaa"):
        Procrustes().fit(fewer)


def test_float32_text_is_kept_in_float32() -> None:
    mapped = Procrustes()
    mapped.fit(random_texts(noisy, dtype=torch.float32))
    assert mapped.fitted["rotation.qab"].dtype == torch.float32
    assert not any(name.startswith("rotation.qaa") for name in mapped.fitted)
