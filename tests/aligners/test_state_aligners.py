"""What all aligners do that compare states; every setting states its source."""

from dataclasses import fields, replace

import pytest
import torch

from xbench.api import Aligner
from xbench_plugins.aligners.argmax import Argmax
from xbench_plugins.aligners.dictionary import Dictionary
from xbench_plugins.aligners.given import Given
from xbench_plugins.aligners.itermax import IterMax
from xbench_plugins.aligners.optimal_transport import OptimalTransport
from xbench_plugins.aligners.softmax import Softmax
from xbench_plugins.aligners.units import StateAligner, units

from .pairs import pair_of, random_pair, side

BY_STATES = (Argmax, IterMax, Softmax, OptimalTransport)
ALL = (*BY_STATES, Dictionary, Given)
by_states = pytest.mark.parametrize("aligner", BY_STATES)


@by_states
def test_no_words_no_links(aligner: type[StateAligner]) -> None:
    empty, full = side(torch.empty(0, 4)), side(torch.randn(3, 4))
    for pair in (pair_of(empty, full), pair_of(full, empty), pair_of(empty, empty)):
        for unit in ("subword", "word"):
            assert aligner(aligner.Config(unit=unit)).align(pair) == []


@by_states
def test_zero_states_link_nothing(aligner: type[StateAligner]) -> None:
    nothing = side(torch.zeros(3, 4))
    assert aligner().align(pair_of(nothing, nothing)) == []
    chance = torch.Generator().manual_seed(0)
    states = torch.randn(4, 4, generator=chance)
    some = states.clone()
    some[1] = 0
    links = aligner().align(pair_of(side(some), side(states)))
    assert links
    assert all(source != 1 for source, _ in links)


@by_states
def test_a_zero_state_changes_no_other_link(aligner: type[StateAligner]) -> None:
    pair = random_pair(5, words=7)
    states = torch.cat([pair.target.states, torch.zeros(2, 6, dtype=torch.float64)])
    owner = torch.cat([pair.target.owner, torch.tensor([7, 8])])
    more = replace(pair, target=replace(pair.target, states=states, owner=owner))
    assert aligner().align(more) == aligner().align(pair)


@by_states
def test_words_that_were_cut_off_have_no_links(aligner: type[StateAligner]) -> None:
    chance = torch.Generator().manual_seed(1)
    source = side(torch.randn(3, 4, generator=chance), [0, 1, 3], words=6)
    links = aligner().align(pair_of(source, side(torch.randn(4, 4, generator=chance))))
    assert links
    assert {i for i, _ in links} <= {0, 1, 3}


@by_states
def test_links_are_ascending_and_each_once(aligner: type[StateAligner]) -> None:
    for seed in range(10):
        pair = random_pair(seed, n=12, m=12, words=3)
        links = list(aligner().align(pair))
        assert links == sorted(set(links))
        assert all(type(number) is int for link in links for number in link)


@by_states
@pytest.mark.parametrize("unit", ["subword", "word"])
def test_both_directions_give_the_same_links(aligner: type[StateAligner], unit: str) -> None:
    for seed in range(6):
        pair = random_pair(seed)
        back = replace(pair, source=pair.target, target=pair.source)
        configured = aligner(aligner.Config(unit=unit))
        turned = sorted((i, j) for j, i in configured.align(back))
        assert turned == configured.align(pair)


@by_states
def test_a_state_that_is_not_finite_is_refused(aligner: type[StateAligner]) -> None:
    states = torch.randn(3, 4)
    states[1, 2] = torch.nan
    with pytest.raises(ValueError, match=r"not finite.*w0 w1 w2"):
        aligner().align(pair_of(side(torch.randn(2, 4)), side(states)))


def test_words_are_means_of_their_subwords_in_float64() -> None:
    states = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 2.0]])
    vectors, owner = units(side(states, [0, 0, 2], words=3), "word")
    assert vectors.dtype == torch.float64
    assert vectors.tolist() == [[0.5, 1.5], [2.0, 2.0]]
    assert owner.tolist() == [0, 2]


@pytest.mark.parametrize("aligner", ALL)
def test_every_setting_has_a_source_and_every_plugin_documentation(aligner: type[Aligner]) -> None:
    assert set(aligner.sources) == {field.name for field in fields(aligner.Config)}
    assert aligner.__doc__
    assert aligner.__doc__.strip().splitlines()[0].endswith((".", ":", ","))
    assert aligner().config == aligner.Config()


def test_what_each_looks_at() -> None:
    assert {aligner.needs for aligner in BY_STATES} == {frozenset({"states"})}
    assert Dictionary.needs == {"dictionary"}
    assert not Given.needs
