"""A bag-of-words contrast: a pair's vector must find the pair's words in the vocabulary.

N pairs, L tokens of a pair, K sampled words, V words in the vocabulary, U words in use,
D dimensions.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from xbench_plugins.losses.contrastive import Similarity, similarities


class Words(NamedTuple):
    """Words per pair: ``ids`` [N, L] int64, of which those count where ``mask`` [N, L] is true."""

    ids: Tensor
    mask: Tensor


def bag_of_words(ids_NL: Tensor, mask_NL: Tensor, distinct: bool) -> Words:
    """The words of each pair in ascending order; ``distinct`` keeps one of equal words."""
    beyond = torch.iinfo(ids_NL.dtype).max
    ordered_NL = ids_NL.masked_fill(~mask_NL, beyond).sort(dim=1).values
    kept_NL = ordered_NL != beyond
    if distinct:
        kept_NL = kept_NL & _differs_from_left(ordered_NL)
    return Words(ordered_NL.masked_fill(~kept_NL, 0), kept_NL)


def sample_outside(
    bag: Words,
    excluded: Sequence[int],
    vocabulary_size: int,
    wanted: int,
    generator: torch.Generator,
) -> Words:
    """For each pair, ``wanted`` words drawn uniformly and without replacement outside its bag.

    Words in ``excluded`` (special tokens) are never drawn. A pair that has fewer words than wanted
    outside its bag gets them all.
    """
    device = bag.ids.device
    never_E = torch.tensor(sorted(excluded), dtype=torch.int64, device=device)
    forbidden_NF = torch.cat(
        [
            bag.ids.masked_fill(~bag.mask, vocabulary_size),
            never_E.expand(len(bag.ids), -1),
        ],
        dim=1,
    )
    if vocabulary_size <= 4 * (wanted + forbidden_NF.shape[1]):
        return _sample_by_ranking(forbidden_NF, vocabulary_size, wanted, generator)
    return _sample_by_rejection(forbidden_NF, vocabulary_size, wanted, generator)


def compact(positives: Words, negatives: Words) -> tuple[Tensor, Words, Words]:
    """The U distinct words in use, and both arguments with places in that list as their ids.

    It lets the caller look up [U, D] vectors once instead of [N, L + K, D] or the whole [V, D].
    """
    length = positives.ids.shape[1]
    ids = torch.cat([positives.ids, negatives.ids], dim=1)
    used_U, places = torch.unique(ids, return_inverse=True)
    return (
        used_U,
        Words(places[:, :length], positives.mask),
        Words(places[:, length:], negatives.mask),
    )


def word_bag_loss(
    query_ND: Tensor,
    vectors_UD: Tensor,
    positives: Words,
    negatives: Words,
    temperature: float,
    similarity: Similarity = "cosine",
) -> tuple[Tensor, int]:
    """Each word of the bag against all negatives of its pair; the bag's words do not compete.

    ``-log exp(s(q_i, E_t) / T) / (exp(s(q_i, E_t) / T) + sum_{w in S_i} exp(s(q_i, E_w) / T))``,
    averaged over the words t of bag i and summed over the pairs; the count is N. The ids of
    ``positives`` and ``negatives`` are rows of ``vectors_UD``.
    A pair with an empty bag adds zero to the sum and is counted. Without negatives the loss is
    zero.
    """
    logits_NU = similarities(query_ND, vectors_UD, similarity) / temperature
    right_NL = logits_NU.gather(1, positives.ids)
    wrong_NK = logits_NU.gather(1, negatives.ids)
    lowest = torch.finfo(wrong_NK.dtype).min
    all_wrong_N1 = wrong_NK.masked_fill(~negatives.mask, lowest).logsumexp(1, keepdim=True)
    loss_NL = -F.logsigmoid(right_NL - all_wrong_N1).masked_fill(~positives.mask, 0.0)
    per_pair_N = loss_NL.sum(1) / positives.mask.sum(1).clamp(min=1)
    return per_pair_N.sum(), len(query_ND)


def _sample_by_ranking(
    forbidden_NF: Tensor, size: int, wanted: int, generator: torch.Generator
) -> Words:
    """Ranks the whole vocabulary at random: right where much of it is wanted."""
    pairs = len(forbidden_NF)
    score_NV = torch.rand(pairs, size, generator=generator).to(forbidden_NF.device)
    one_more = F.pad(score_NV, (0, 1))  # the column that fillers of the bag point at
    score_NV = one_more.scatter(1, forbidden_NF, -1.0)[:, :size]
    best_NK = score_NV.topk(min(wanted, size), dim=1)
    allowed_NK = best_NK.values >= 0
    return Words(best_NK.indices.masked_fill(~allowed_NK, 0), allowed_NK)


def _sample_by_rejection(
    forbidden_NF: Tensor, size: int, wanted: int, generator: torch.Generator
) -> Words:
    """Draws with replacement and keeps the first ``wanted`` new and allowed words of each pair."""
    pairs, device = len(forbidden_NF), forbidden_NF.device
    forbidden_NF = forbidden_NF.sort(dim=1).values
    expected = wanted * size / (size - forbidden_NF.shape[1] - wanted)
    draws_NR = torch.empty(pairs, 0, dtype=torch.int64, device=device)
    while True:
        more = math.ceil(expected + 4 * math.sqrt(expected)) - draws_NR.shape[1]
        drawn = torch.randint(size, (pairs, max(more, 16)), generator=generator).to(device)
        draws_NR = torch.cat([draws_NR, drawn], dim=1)
        usable_NR = _first_occurrence(draws_NR) & ~_is_member(draws_NR, forbidden_NF)
        rank_NR = usable_NR.cumsum(dim=1)
        if bool((rank_NR[:, -1] >= wanted).all()):
            break
    ids_NK = draws_NR[usable_NR & (rank_NR <= wanted)].view(pairs, wanted)
    return Words(ids_NK, torch.ones_like(ids_NK, dtype=torch.bool))


def _differs_from_left(ordered_NL: Tensor) -> Tensor:
    """[N, L] bool: true in the first column and wherever a value differs from the one before."""
    return F.pad(ordered_NL[:, 1:] != ordered_NL[:, :-1], (1, 0), value=True)


def _first_occurrence(values_NR: Tensor) -> Tensor:
    """[N, R] bool: true where a value appears for the first time in its row."""
    ordered_NR, place_NR = values_NR.sort(dim=1, stable=True)
    return torch.zeros_like(values_NR, dtype=torch.bool).scatter(
        1, place_NR, _differs_from_left(ordered_NR)
    )


def _is_member(values_NR: Tensor, ordered_NF: Tensor) -> Tensor:
    """[N, R] bool: true where a value is in its row of ``ordered_NF`` (ascending)."""
    place_NR = torch.searchsorted(ordered_NF, values_NR)
    last = ordered_NF.shape[1] - 1
    return ordered_NF.gather(1, place_NR.clamp(max=last)) == values_NR
