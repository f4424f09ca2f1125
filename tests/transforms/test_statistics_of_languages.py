"""Mean centring and z-scores: their numbers, and text that does not vary."""

import pytest
import torch

from xbench_plugins.transforms import statistics
from xbench_plugins.transforms.mean_center import MeanCenter
from xbench_plugins.transforms.zscore import ZScore

from .texts import SOURCE, Texts, noisy, random_texts


def test_moments_are_those_of_torch_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = 5 + torch.randn(23, 4, dtype=torch.float64)
    for rows in (1, 7, 23, 100):
        monkeypatch.setattr(statistics, "_ROWS_AT_ONCE", rows)
        mean = statistics.mean(vectors)
        torch.testing.assert_close(mean, vectors.mean(0))
        deviation = statistics.deviation(vectors, mean)
        torch.testing.assert_close(deviation, vectors.std(0, correction=0))


def test_means_of_float32_text_are_summed_in_float64() -> None:
    vectors = torch.full((100_000, 1), 0.1)
    exact = float(vectors[0, 0])
    assert float(statistics.mean(vectors)) == pytest.approx(exact, rel=1e-12)


def test_centring_is_the_formula() -> None:
    texts, states = random_texts(noisy), torch.randn(3, 8, dtype=torch.float64)
    means = {language: texts.vectors(language).mean(0) for language in texts.languages}
    centred, zeroed = MeanCenter(), MeanCenter(MeanCenter.Config(centre="zero"))
    centred.fit(texts)
    zeroed.fit(texts)
    for language in texts.languages:
        plain = states - means[language]
        torch.testing.assert_close(centred.forward(states, language), plain + means[SOURCE])
        torch.testing.assert_close(zeroed.forward(states, language), plain)


def test_z_scores_are_the_formula() -> None:
    texts, states = random_texts(noisy), torch.randn(3, 8, dtype=torch.float64)
    scored, zeroed = ZScore(), ZScore(ZScore.Config(centre="zero"))
    scored.fit(texts)
    zeroed.fit(texts)
    source = texts.vectors(SOURCE)
    for language in texts.languages:
        own = texts.vectors(language)
        plain = (states - own.mean(0)) / own.std(0, correction=0)
        expected = plain * source.std(0, correction=0) + source.mean(0)
        torch.testing.assert_close(scored.forward(states, language), expected)
        torch.testing.assert_close(zeroed.forward(states, language), plain)


def test_variances_become_those_of_the_source() -> None:
    texts = random_texts(noisy)
    scored = ZScore()
    scored.fit(texts)
    source = texts.vectors(SOURCE).var(0)
    for language in texts.languages:
        variance = scored.forward(texts.vectors(language), language).var(0)
        torch.testing.assert_close(variance, source)


@pytest.mark.parametrize("still", ["qaa", "qab"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dimension_that_does_not_vary_is_moved_only(still: str, dtype: torch.dtype) -> None:
    texts = random_texts(noisy, languages=2)
    fixed = texts.vectors(still).clone()
    fixed[:, 2] = 1 / 3
    if dtype == torch.float64:  # its mean is not 1/3 to the last bit
        assert bool(statistics.deviation(fixed, statistics.mean(fixed))[2] > 0)
    texts = Texts({k: v.to(dtype) for k, v in {**texts.sentences, still: fixed}.items()})
    scored = ZScore()
    scored.fit(texts)
    states = torch.randn(50, 8, dtype=dtype)
    result = scored.forward(states, "qab")[:, 2]
    moved = states[:, 2] + texts.vectors("qaa")[:, 2].mean() - texts.vectors("qab")[:, 2].mean()
    torch.testing.assert_close(result, moved, rtol=1e-5, atol=1e-6)


def test_a_single_sentence_moves_and_does_not_rescale() -> None:
    texts = random_texts(noisy, languages=2, sentences=1)
    scored, centred = ZScore(), MeanCenter()
    scored.fit(texts)
    centred.fit(texts)
    states = torch.randn(4, 8, dtype=torch.float64)
    torch.testing.assert_close(scored.forward(states, "qab"), centred.forward(states, "qab"))


def test_languages_may_have_text_of_their_own() -> None:
    texts = random_texts(noisy, languages=2)
    fewer = Texts({"qaa": texts.vectors("qaa"), "qab": texts.vectors("qab")[:11]})
    for transform in (MeanCenter(), ZScore()):
        transform.fit(fewer)
        mean = transform.forward(fewer.vectors("qab"), "qab").mean(0)
        torch.testing.assert_close(mean, fewer.vectors("qaa").mean(0))


def test_what_is_fitted_on_tokens_reads_tokens() -> None:
    texts = random_texts(noisy, languages=2)
    tokens = {language: text + 1 for language, text in texts.sentences.items()}
    view = Texts(texts.sentences, tokens | {"qab": tokens["qab"] + 5}, unit="token")
    centred = MeanCenter()
    centred.fit(view)
    mean = centred.forward(view.vectors("qab"), "qab").mean(0)
    torch.testing.assert_close(mean, tokens["qaa"].mean(0))
