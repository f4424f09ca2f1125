"""LSAR against the paper's five steps, and where these fail."""

import pytest
import torch
from torch import Tensor

from xbench_plugins.transforms.lsar import Lsar, specific_subspace

from .texts import SOURCE, Texts, noisy, random_texts


def five_steps(means: Tensor, rank: int) -> Tensor:
    """[D, D] projector on the specific subspace, as the paper finds it."""
    ones = torch.ones(means.shape[1], 1, dtype=means.dtype)
    m = means @ ones / len(ones)
    u, s, v = torch.linalg.svd(means - m @ ones.T, full_matrices=False)
    best = m @ ones.T + u[:, :rank] @ torch.diag(s[:rank]) @ v[:rank]
    common = torch.linalg.pinv(best).T @ ones
    common = common / (common**2).sum()
    u, _, _ = torch.linalg.svd(best - common @ ones.T, full_matrices=False)
    return u[:, :rank] @ u[:, :rank].T


@pytest.mark.parametrize(("width", "languages"), [(8, 4), (12, 7), (30, 10), (5, 6)])
def test_the_subspace_is_that_of_the_five_steps(width: int, languages: int) -> None:
    chance = torch.Generator().manual_seed(width)
    means = torch.randn(width, languages, generator=chance, dtype=torch.float64)
    for rank in range(1, min(width - 1, languages - 1) + 1):
        basis = specific_subspace(means, rank)
        assert basis.shape == (width, rank)
        torch.testing.assert_close(basis @ basis.T, five_steps(means, rank), rtol=0, atol=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_states_are_projected(rank: int) -> None:
    texts, states = random_texts(noisy), torch.randn(2, 3, 8, dtype=torch.float64)
    means = torch.stack([texts.vectors(each).mean(0) for each in texts.languages], dim=1)
    off = torch.eye(8, dtype=torch.float64) - five_steps(means, rank)
    plain = Lsar(Lsar.Config(rank=rank, centre="zero"))
    plain.fit(texts)
    centred = Lsar(Lsar.Config(rank=rank))
    centred.fit(texts)
    source = texts.vectors(SOURCE).mean(0)
    for language in texts.languages:
        torch.testing.assert_close(plain.forward(states, language), states @ off)
        expected = source + (states - source) @ off
        torch.testing.assert_close(centred.forward(states, language), expected)


def test_all_languages_are_mapped_alike() -> None:
    mapped = Lsar()
    mapped.fit(random_texts(noisy))
    states = torch.randn(5, 8, dtype=torch.float64)
    for language in ("qab", "qac", "qad"):
        torch.testing.assert_close(mapped.forward(states, language), mapped.forward(states, SOURCE))


def test_it_is_a_projection() -> None:
    mapped = Lsar()
    mapped.fit(random_texts(noisy))
    once = mapped.forward(torch.randn(5, 8, dtype=torch.float64), "qab")
    torch.testing.assert_close(mapped.forward(once, "qab"), once)


def test_the_common_part_may_lie_in_the_subspace() -> None:
    # Here m is zero, and all that the third of the five steps could divide by is rounding.
    means = torch.tensor([[1.0, -1.0, 0.0], [0.0, 2.0, -2.0], [0.0, 0.0, 0.0]]).double()
    basis = specific_subspace(means, 2)
    projector = torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(basis @ basis.T, projector)


def test_directions_in_which_languages_do_not_differ_are_never_removed() -> None:
    means = torch.zeros(6, 4, dtype=torch.float64)
    means[2] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert specific_subspace(means + 5, 3).shape == (6, 1)
    assert specific_subspace(torch.full((6, 4), 5.0, dtype=torch.float64), 3).shape == (6, 0)


@pytest.mark.parametrize("languages", [1, 3])
def test_a_rank_above_the_number_of_languages_less_one_is_refused(languages: int) -> None:
    texts = random_texts(noisy, languages=languages)
    with pytest.raises(ValueError, match=f"rank is {languages}, but {languages} languages differ"):
        Lsar(Lsar.Config(rank=languages)).fit(texts)


def test_only_means_count_so_that_texts_need_not_say_the_same() -> None:
    texts = random_texts(noisy)
    means = {k: v.mean(0, keepdim=True) for k, v in texts.sentences.items()}
    one, other = Lsar(), Lsar()
    one.fit(texts)
    other.fit(Texts(means))
    states = torch.randn(5, 8, dtype=torch.float64)
    torch.testing.assert_close(one.forward(states, "qab"), other.forward(states, "qab"))
