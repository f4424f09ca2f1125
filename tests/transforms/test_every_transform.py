"""What every transform must do."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from xbench.api import Transform
from xbench_plugins.transforms.lsar import Lsar
from xbench_plugins.transforms.mean_center import MeanCenter
from xbench_plugins.transforms.procrustes import Procrustes
from xbench_plugins.transforms.zscore import ZScore

from .texts import SOURCE, Texts, noisy, random_texts, rotation, shift

ALL = (MeanCenter, ZScore, Procrustes, Lsar)
every = pytest.mark.parametrize("transform", ALL)
KEEP_THE_SOURCE = (MeanCenter, ZScore, Procrustes)


def fitted(transform: type[Transform], texts: Texts, **settings: object) -> Transform:
    result = transform(transform.Config(**settings))
    result.fit(texts)
    return result


@every
def test_another_object_with_the_saved_tensors_does_the_same(
    transform: type[Transform], tmp_path: Path
) -> None:
    first = fitted(transform, random_texts(noisy))
    save_file(first.fitted, tmp_path / "fitted.safetensors")
    second = transform()
    second.fitted = load_file(tmp_path / "fitted.safetensors")
    states = torch.randn(3, 5, 8, dtype=torch.float64)
    for language in ("qaa", "qac"):
        assert torch.equal(second.forward(states, language), first.forward(states, language))


@every
def test_a_language_that_it_was_not_fitted_on_is_a_key_error(transform: type[Transform]) -> None:
    states = torch.zeros(2, 8)
    with pytest.raises(KeyError, match="not fitted on qaz; it was fitted on qaa, qab, qac, qad"):
        fitted(transform, random_texts(noisy)).forward(states, "qaz")
    with pytest.raises(KeyError, match="fitted on nothing"):
        transform().forward(states, "qaa")


@every
def test_fitting_again_forgets_what_was_fitted_before(transform: type[Transform]) -> None:
    again = fitted(transform, random_texts(noisy, languages=4))
    again.fit(random_texts(noisy, languages=2))
    once = fitted(transform, random_texts(noisy, languages=2))
    assert again.fitted.keys() == once.fitted.keys()
    assert all(torch.equal(again.fitted[name], once.fitted[name]) for name in once.fitted)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_states_keep_shape_and_type_and_are_mapped_one_by_one(
    transform: type[Transform], dtype: torch.dtype
) -> None:
    mapped = fitted(transform, random_texts(noisy))
    states = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1)).to(dtype)
    result = mapped.forward(states, "qab")
    assert (result.shape, result.dtype) == (states.shape, dtype)
    alone = mapped.forward(states[1, 2], "qab")
    precision = {"rtol": 1e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(alone, result[1, 2], **precision)  # type: ignore[arg-type]
    exact = mapped.forward(states.double(), "qab")
    torch.testing.assert_close(result.double(), exact, rtol=2e-2 if precision else 1e-4, atol=1e-2)


@every
def test_half_precision_is_rounded_once_only(transform: type[Transform]) -> None:
    mapped = fitted(transform, random_texts(noisy))
    states = torch.randn(6, 8, generator=torch.Generator().manual_seed(1)).bfloat16()
    wide = mapped.forward(states.float(), "qab").bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mapped.forward(states, "qab"), wide)


@every
def test_float32_text_gives_what_float64_text_gives(transform: type[Transform]) -> None:
    states = torch.randn(6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wide = fitted(transform, random_texts(noisy)).forward(states, "qac")
    narrow = fitted(transform, random_texts(noisy, dtype=torch.float32)).forward(states, "qac")
    torch.testing.assert_close(narrow, wide, rtol=1e-4, atol=1e-4)


@every
@pytest.mark.parametrize("sentences", [1, 3, 50])
def test_languages_that_are_aligned_already_stay_as_they_are(
    transform: type[Transform], sentences: int
) -> None:
    texts = random_texts(sentences=sentences)  # with fewer sentences than dimensions, too
    mapped = fitted(transform, texts)
    states = torch.randn(7, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for language in texts.languages:
        torch.testing.assert_close(mapped.forward(states, language), states, rtol=0, atol=1e-10)


@pytest.mark.parametrize("transform", KEEP_THE_SOURCE)
def test_states_of_the_source_language_stay_bit_for_bit(transform: type[Transform]) -> None:
    mapped = fitted(transform, random_texts(noisy, dtype=torch.float32))
    states = 100 * torch.randn(9, 8, generator=torch.Generator().manual_seed(2))
    assert torch.equal(mapped.forward(states, SOURCE), states)


@every
def test_the_mean_of_every_language_becomes_that_of_the_source(transform: type[Transform]) -> None:
    texts = random_texts(noisy)
    mapped = fitted(transform, texts)
    source = texts.vectors(SOURCE).mean(0)
    for language in texts.languages:
        mean = mapped.forward(texts.vectors(language), language).mean(0)
        torch.testing.assert_close(mean, source, rtol=1e-9, atol=1e-9)


@every
def test_translations_come_nearer(transform: type[Transform]) -> None:
    texts = random_texts(noisy)
    mapped = fitted(transform, texts)
    source = mapped.forward(texts.vectors(SOURCE), SOURCE)
    for language in texts.languages[1:]:
        before = (texts.vectors(language) - texts.vectors(SOURCE)).norm()
        after = (mapped.forward(texts.vectors(language), language) - source).norm()
        assert after < 0.9 * before


@pytest.mark.parametrize(
    ("transform", "change"),
    [
        (MeanCenter, lambda said, n: said + shift(8, n)),
        (ZScore, lambda said, n: said * (1 + n) + shift(8, n)),
        (Procrustes, lambda said, n: said @ rotation(8, n) + shift(8, n) if n else said),
    ],
)
def test_what_it_can_undo_is_undone(
    transform: type[Transform], change: Callable[[Tensor, int], Tensor]
) -> None:
    texts = random_texts(change)
    mapped = fitted(transform, texts)
    for language in texts.languages:
        result = mapped.forward(texts.vectors(language), language)
        torch.testing.assert_close(result, texts.vectors(SOURCE), rtol=1e-9, atol=1e-9)


@every
def test_the_order_of_languages_changes_nothing(transform: type[Transform]) -> None:
    texts = random_texts(noisy)
    turned = Texts(dict(reversed(texts.sentences.items())))
    states = texts.vectors("qac")
    one, other = fitted(transform, texts), fitted(transform, turned)
    torch.testing.assert_close(one.forward(states, "qac"), other.forward(states, "qac"))


@every
def test_with_the_source_language_alone_nothing_is_moved(transform: type[Transform]) -> None:
    texts = random_texts(languages=1)
    states = torch.randn(4, 8, dtype=torch.float64)
    assert torch.equal(fitted(transform, texts).forward(states, SOURCE), states)


@every
def test_text_that_is_missing_or_not_finite_is_refused(transform: type[Transform]) -> None:
    texts = random_texts(noisy)
    none = Texts({**texts.sentences, "qab": torch.empty(0, 8)})
    with pytest.raises(ValueError, match="no text of qab"):
        fitted(transform, none)
    broken = texts.vectors("qab").clone()
    broken[3, 3] = torch.inf
    with pytest.raises(ValueError, match="a vector of qab is not finite"):
        fitted(transform, Texts({**texts.sentences, "qab": broken}))


@every
def test_every_setting_has_a_source_and_every_plugin_documentation(
    transform: type[Transform],
) -> None:
    assert set(transform.sources) == {field.name for field in fields(transform.Config)}
    assert transform.__doc__
    assert "Source" in transform.__doc__
    with pytest.raises(ValueError, match="unexpected"):
        transform.Config(unexpected=1)
