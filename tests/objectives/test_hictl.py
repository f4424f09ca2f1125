"""HiCTL as a whole, on a tiny encoder in float64."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from xbench_plugins.losses.contrastive import nt_xent
from xbench_plugins.losses.hard_negatives import smoothed_similarities
from xbench_plugins.objectives.hictl import HiCTL

from .fake_batch import BEGIN, END, SPECIALS, FakeBatch, TinyEncoder, random_pairs
from .slow_contrast import close

EVERYTHING = 10_000  # more negatives than there are words: nothing is left to chance
PAIRS = random_pairs(6)


def batch(pairs: list[Any] = PAIRS, **options: Any) -> FakeBatch:
    return FakeBatch(TinyEncoder(), pairs, **options)


def objective(**settings: Any) -> HiCTL:
    return HiCTL(HiCTL.Config(**{"negatives": EVERYTHING, **settings}))


def values(objective: HiCTL, batch: FakeBatch) -> dict[str, tuple[float, float]]:
    return {
        name: (float(term.sum.detach()), float(term.count))
        for name, term in objective.terms(batch).items()
    }


def compare(a: Tensor, b: Tensor, similarity: str) -> float:
    return cosine(a, b) if similarity == "cosine" else float((a * b).sum().detach())


def cosine(a: Tensor, b: Tensor) -> float:
    return float(((a * b).sum() / (a.norm() * b.norm())).detach())


# What is computed


@pytest.mark.parametrize("name", HiCTL.variants)
def test_a_variant_has_the_terms_of_its_name(name: str) -> None:
    terms = HiCTL(HiCTL.variants[name]).terms(batch())
    wanted = {"S": "sentence", "W": "word", "M": "mlm"}
    assert set(terms) == {
        wanted[a] for a, on in zip(name[::2], name[1::2], strict=True) if on == "1"
    }


def test_there_are_seven_variants_which_differ_in_their_switches_alone() -> None:
    assert len(HiCTL.variants) == 7
    equalised = {replace(c, sentence=1, word=1, mlm=1) for c in HiCTL.variants.values()}
    assert equalised == {HiCTL.Config()}


@pytest.mark.parametrize(
    ("settings", "depth", "pooling"),
    [({}, 2 / 3, "mean"), ({"depth": 1.0, "pooling": "cls"}, 1.0, "cls")],
)
def test_sentence_term(settings: dict[str, Any], depth: float, pooling: str) -> None:
    b = batch()
    term = objective(word=0, mlm=0, temperature=0.2, **settings).terms(b)["sentence"]
    z = torch.cat([v.pooled(depth, pooling) for v in (b.source, b.target)])
    expected, n = 0.0, len(PAIRS)
    for i in range(2 * n):
        scores = {k: math.exp(cosine(z[i], z[k]) / 0.2) for k in range(2 * n) if k != i}
        expected -= math.log(scores[(i + n) % (2 * n)] / sum(scores.values()))
    assert term.count == 2 * n
    assert term.sum.item() == pytest.approx(expected, rel=1e-12)


def query_of(b: FakeBatch, query: str, depth: float) -> Tensor:
    if query == "mean_of_both":
        return (b.source.pooled(depth) + b.target.pooled(depth)) / 2
    return b.joint.pooled(depth, query.removesuffix("_of_joint"))


@pytest.mark.parametrize("query", ["mean_of_joint", "cls_of_joint", "mean_of_both"])
@pytest.mark.parametrize("bag", ["set", "multiset"])
@pytest.mark.parametrize(("exclude_special", "similarity"), [(True, "dot"), (False, "cosine")])
def test_word_term(query: str, bag: str, exclude_special: bool, similarity: str) -> None:
    b = batch()
    settings = {
        "query": query,
        "bag": bag,
        "exclude_special": exclude_special,
        "query_depth": 1 / 3,
    }
    term = objective(sentence=0, mlm=0, similarity=similarity, **settings).terms(b)["word"]
    table, expected = b.embeddings(), 0.0
    for q, (x, y) in zip(query_of(b, query, 1 / 3), PAIRS, strict=True):
        frame = [] if exclude_special else [BEGIN, END, BEGIN, END]
        tokens = [*x, *y, *frame]
        scores = [math.exp(compare(q, e, similarity) / 0.1) for e in table]
        rest = sum(s for i, s in enumerate(scores) if i not in {*tokens, *SPECIALS})
        wanted = sorted(set(tokens)) if bag == "set" else tokens
        expected -= sum(math.log(scores[t] / (scores[t] + rest)) for t in wanted) / len(wanted)
    assert term.count == len(PAIRS)
    assert term.sum.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mlm_input", ["each", "joint"])
def test_mlm_term(mlm_input: str) -> None:
    b = batch()
    term = objective(sentence=0, word=0, mlm_input=mlm_input).terms(b)["mlm"]
    views = [b.source, b.target] if mlm_input == "each" else [b.joint]
    expected, count = 0.0, 0
    for view in views:
        states = view.masked.states(1.0)
        for row, column in view.chosen.nonzero().tolist():
            log_probabilities = (states[row, column] @ b.embeddings().T).log_softmax(0)
            expected -= log_probabilities[view.ids[row, column]].item()
            count += 1
    assert count > 10
    assert term.count == count
    assert term.sum.item() == pytest.approx(expected, rel=1e-12)


def test_a_sample_of_negatives_makes_the_word_term_smaller() -> None:
    every = values(objective(sentence=0, mlm=0), batch())["word"][0]
    few = values(objective(sentence=0, mlm=0, negatives=3), batch())["word"][0]
    assert 0 < few < every


def test_the_batch_generator_decides_the_negatives() -> None:
    sampled = objective(sentence=0, mlm=0, negatives=3)
    assert values(sampled, batch(seed=1)) == close(values(sampled, batch(seed=1)))
    assert values(sampled, batch(seed=1)) != values(sampled, batch(seed=2))


# What must not matter

CHOICES: list[dict[str, Any]] = [
    {},
    {"pooling": "cls", "query": "cls_of_joint", "similarity": "dot"},
    {"query": "mean_of_both", "bag": "multiset", "mlm_input": "joint"},
    {"exclude_special": False, "share_masked_forward": True},
    {"smoothed_hard_negatives": True},
]


@pytest.mark.parametrize("settings", CHOICES)
def test_padding_changes_nothing(settings: dict[str, Any]) -> None:
    expected = values(objective(**settings), batch())
    padded = values(objective(**settings), batch(padding=5))
    for name, (total, count) in expected.items():
        assert padded[name] == (pytest.approx(total, rel=1e-12), count)


@pytest.mark.parametrize("settings", CHOICES)
def test_the_order_of_the_pairs_changes_nothing(settings: dict[str, Any]) -> None:
    expected = values(objective(**settings), batch())
    turned = values(objective(**settings), batch([PAIRS[i] for i in (4, 2, 0, 5, 1, 3)]))
    for name, (total, count) in expected.items():
        assert turned[name] == (pytest.approx(total, rel=1e-12), count)


def test_word_and_mlm_terms_add_up_over_chunks() -> None:
    whole = values(objective(sentence=0), batch())
    first, second = (values(objective(sentence=0), batch(p)) for p in (PAIRS[:2], PAIRS[2:]))
    for name in ("word", "mlm"):
        assert first[name][0] + second[name][0] == pytest.approx(whole[name][0], rel=1e-12)
        assert first[name][1] + second[name][1] == whole[name][1]
    assert HiCTL.coupled == {"sentence"}


# Degenerate input


def gradients(objective: HiCTL, batch: FakeBatch) -> list[Tensor]:
    sum(term.sum for term in objective.terms(batch).values()).backward()
    return [p.grad for p in batch.encoder.parameters() if p.grad is not None]


@pytest.mark.parametrize("settings", CHOICES)
@pytest.mark.parametrize(
    "pairs",
    [PAIRS[:1], [([], []), PAIRS[0]], [([], [])], [PAIRS[0], PAIRS[0]]],
    ids=["one-pair", "an-empty-pair", "only-an-empty-pair", "a-pair-twice"],
)
def test_degenerate_batches_give_finite_numbers(pairs: Any, settings: dict[str, Any]) -> None:
    b = batch(pairs)
    assert all(math.isfinite(total) for total, _ in values(objective(**settings), b).values())
    assert all(g.isfinite().all() for g in gradients(objective(**settings), batch(pairs)))


def test_one_pair_has_no_sentence_loss_and_an_empty_bag_no_word_loss() -> None:
    assert values(objective(mlm=0, word=0), batch(PAIRS[:1]))["sentence"] == (0.0, 2)
    assert values(objective(mlm=0, sentence=0), batch([([], [])]))["word"] == (0.0, 1)
    with_empty = values(objective(mlm=0, sentence=0), batch([PAIRS[0], ([], [])]))["word"]
    alone = values(objective(mlm=0, sentence=0), batch(PAIRS[:1]))["word"]
    assert with_empty == (pytest.approx(alone[0], rel=1e-12), 2)


def test_no_masked_position_is_a_sum_of_zero_over_zero() -> None:
    b = batch(mask_every=1000)
    assert values(objective(sentence=0, word=0), b)["mlm"] == (0.0, 0)
    assert not any(g.any() for g in gradients(objective(sentence=0, word=0), b))


# Gradients and cost


def test_detached_embeddings_learn_from_the_query_alone() -> None:
    """Words that occur in no text reach the loss only as negatives."""
    inside = {token for x, y in PAIRS for token in (*x, *y)}
    outside = sorted(set(range(40)) - inside - set(SPECIALS))
    assert outside
    for detached in (False, True):
        b = batch()
        gradients(objective(sentence=0, mlm=0, detach_embeddings=detached), b)
        assert bool(b.encoder.words.weight.grad[outside].any()) is not detached
        assert b.encoder.own[0].weight.grad.any()


def test_sharing_the_masked_forward_saves_passes_and_uses_the_masked_text() -> None:
    passes = {}
    for shared in (False, True):
        b = batch()
        config = {"word": 0, "share_masked_forward": shared}
        terms = objective(**config).terms(b)
        passes[shared] = b.encoder.layers_run
        read = [v.masked if shared else v for v in (b.source, b.target)]
        expected, _ = nt_xent(*(v.pooled(2 / 3) for v in read), 0.1)
        torch.testing.assert_close(terms["sentence"].sum, expected, rtol=0, atol=0)
    # unmasked: two layers of each side; masked: three layers of each side
    assert passes == {False: 2 * (2 + 3), True: 2 * 3}


def test_the_encoder_runs_no_deeper_than_a_term_needs() -> None:
    b = batch()
    objective(word=0, mlm=0).terms(b)
    assert b.encoder.layers_run == 2 * 2


def test_training_pulls_translations_together_and_shuffled_pairs_apart() -> None:
    """After some steps on true pairs they are nearest neighbours; on wrong pairs they are not."""
    wrong = [(x, PAIRS[(i + 1) % len(PAIRS)][1]) for i, (x, _) in enumerate(PAIRS)]
    found = {}
    for name, training in (("true", PAIRS), ("wrong", wrong)):
        encoder, loss = TinyEncoder(), objective(word=0, mlm=0)
        optimiser = torch.optim.Adam(encoder.parameters(), lr=0.02)
        for _ in range(60):
            optimiser.zero_grad()
            loss.terms(FakeBatch(encoder, training))["sentence"].mean.backward()
            optimiser.step()
        b = FakeBatch(encoder, PAIRS)
        scores = F.normalize(b.source.pooled(2 / 3)) @ F.normalize(b.target.pooled(2 / 3)).T
        found[name] = float((scores.argmax(1) == torch.arange(len(PAIRS))).double().mean())
    assert found == {"true": 1.0, "wrong": 0.0}


def test_autocast_leaves_the_losses_in_float32() -> None:
    def terms(autocast: bool) -> dict[str, Tensor]:
        b = FakeBatch(TinyEncoder().float(), PAIRS)
        for view in (b.source, b.target, b.joint):
            view.states(1.0)  # encoded outside of autocast: only the losses are under test
            view.masked.states(1.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return {name: t.sum for name, t in objective().terms(b).items()}

    inside, outside = terms(True), terms(False)
    assert {t.dtype for t in inside.values()} == {torch.float32}
    for name in ("sentence", "word"):
        torch.testing.assert_close(inside[name], outside[name], rtol=1e-6, atol=0)
    torch.testing.assert_close(inside["mlm"], outside["mlm"], rtol=1e-2, atol=0)


# Smoothed hard negatives: state


def smoothed() -> HiCTL:
    return objective(word=0, mlm=0, smoothed_hard_negatives=True)


def test_smoothing_starts_from_the_plain_loss_and_hardens_with_success() -> None:
    loss, b = smoothed(), batch()
    plain = values(objective(word=0, mlm=0), b)["sentence"][0]
    assert values(loss, b)["sentence"][0] == pytest.approx(plain, rel=1e-12)
    loss.success.fill_(0.5)
    z = torch.cat([v.pooled(2 / 3) for v in (b.source, b.target)])
    logits = smoothed_similarities(z, 0.9 * 0.5, "cosine") / 0.1
    logits.fill_diagonal_(-torch.inf)
    expected = F.cross_entropy(logits, torch.arange(12).roll(6), reduction="sum")
    hardened = values(loss, b)["sentence"][0]
    assert hardened == pytest.approx(float(expected.detach()), rel=1e-7)
    assert hardened > plain


def test_each_step_remembers_the_probability_of_its_mean_loss() -> None:
    loss = smoothed()
    means = []
    for step in range(103):
        terms = loss.terms(batch(random_pairs(3, seed=step % 4)))
        means.append(float(terms["sentence"].mean.detach()))
        loss.after_step(torch.nn.Identity(), step)
    expected = torch.tensor([math.exp(-m) for m in reversed(means[-100:])])
    torch.testing.assert_close(loss.success, expected, rtol=1e-6, atol=0)


def test_a_step_of_several_batches_remembers_their_mean() -> None:
    loss = smoothed()
    means = [float(loss.terms(batch(p))["sentence"].mean.detach()) for p in (PAIRS[:3], PAIRS[3:])]
    loss.after_step(torch.nn.Identity(), 0)
    assert float(loss.success[0]) == pytest.approx(math.exp(-sum(means) / 2), rel=1e-6)
    assert not loss.success[1:].any()


def test_evaluation_and_other_configurations_remember_nothing() -> None:
    loss = smoothed().eval()
    loss.terms(batch())
    loss.after_step(torch.nn.Identity(), 0)
    assert not loss.success.any()
    plain = objective()
    plain.terms(batch())
    plain.after_step(torch.nn.Identity(), 0)
    assert plain.state_dict() == {}


def test_a_restored_state_continues_alike() -> None:
    first = smoothed()
    for step in range(5):
        first.terms(batch())
        first.after_step(torch.nn.Identity(), step)
    second = smoothed()
    second.load_state_dict(first.state_dict())
    for loss in (first, second):
        loss.terms(batch())
        loss.after_step(torch.nn.Identity(), 5)
    assert torch.equal(first.success, second.success)
    assert values(first, batch()) == close(values(second, batch()))


# Configuration


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sentence": 0, "word": 0, "mlm": 0}, "switch on at least one"),
        ({"sentence": 2}, "0 or 1"),
        ({"temperature": 0}, "greater than 0"),
        ({"temperature": float("nan")}, "finite"),
        ({"depth": 1.5}, "less than or equal to 1"),
        ({"query_depth": -0.1}, "greater than or equal to 0"),
        ({"negatives": 0}, "greater than or equal to 1"),
        ({"zeta": 1}, "less than 1"),
        ({"pooling": "max"}, "'mean' or 'cls'"),
        ({"negative_sampler": "nearest"}, "'uniform'"),
        ({"tempreature": 0.1}, "tempreature"),
    ],
)
def test_a_bad_setting_is_refused_and_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        HiCTL.Config(**settings)
    assert all(name in str(caught.value) for name in settings)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        HiCTL.Config().temperature = 1.0


def test_every_default_says_where_it_is_from() -> None:
    assert set(HiCTL.sources) == {field.name for field in fields(HiCTL.Config)}
    origins = {source.split(":")[0].split(" (")[0] for source in HiCTL.sources.values()}
    assert origins == {"paper", "code", "reconstruction"}
