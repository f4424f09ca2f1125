"""The stage of word links: what an aligner is shown, what is kept, and what is refused."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from xbench.api import ParallelText, WordPair, WordSide
from xbench.stages.inputs.pairs import wrong_partners
from xbench_plugins.aligners.argmax import Argmax
from xbench_plugins.aligners.given import Given

from ..toys import Bitext, Lexicon, World
from .slow import Slow

Worlds = Callable[..., World]
Found = dict[int, list[tuple[int, int]]]
LINKED: dict[str, Any] = {"objective": ("linked",), "arm": ("aligned",)}
SHUFFLED = {**LINKED, "arm": ("shuffled",)}


def linked(folder: Path) -> Found:
    """row of the corpus -> links."""
    table = pq.read_table(folder / "links.parquet").to_pydict()
    flat = (iter(links) for links in table["links"])
    pairs = [list(zip(each, each, strict=True)) for each in flat]
    return dict(zip(table["row"], pairs, strict=True))


def corpus(world: World, **options: Any) -> list[tuple[list[str], list[str]]]:
    languages = [world.catalogue.languages.get(code) for code in ("aaa", "bbb")]
    pairs = Bitext(None, **{**world.corpus, **options}).read(languages, "train")
    return [(pair.source.split(), pair.target.split()) for pair in pairs]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> list[WordPair]:
    """What the aligner is shown; it links nothing."""
    shown: list[WordPair] = []

    def align(self: Given, pair: WordPair) -> Sequence[tuple[int, int]]:
        shown.append(pair)
        return []

    monkeypatch.setattr(Given, "align", align)
    return shown


@pytest.mark.parametrize("depth", [0.5, 1.0])
def test_links_are_what_the_aligner_gives_for_each_pair(
    depth: float, new_world: Worlds, toy_model: Path
) -> None:
    world = new_world(corpus={"count": 70, "longest": 12})
    options = {"aligner": "argmax", "aligner_options": {"depth": depth}, "max_length": 16}
    folder = world.run(world.stage("links", **LINKED, align=options))
    slow, aligner = Slow(toy_model), Argmax(Argmax.Config(depth=depth))
    expected = {}
    for row, sides in enumerate(corpus(world)):
        shown = [
            WordSide(
                tuple(words),
                slow.tokens(" ".join(words), depth, 16),
                torch.tensor(slow.owners(" ".join(words), 16)),
            )
            for words in sides
        ]
        expected[row] = sorted(aligner.align(WordPair(shown[0], shown[1], {})))
    assert linked(folder) == expected
    result = json.loads((folder / "result.json").read_text())
    assert result == {"pairs": 70, "links": sum(map(len, expected.values()))}
    assert any(len(links) > 1 for links in expected.values())
    assert any(
        len(words) > 14 or len(slow.owners(" ".join(words))) > 14 for words, _ in corpus(world)
    )


def test_given_links_are_kept_as_they_are(new_world: Worlds) -> None:
    world = new_world(corpus={"links": True})
    found = linked(world.run(world.stage("links", **LINKED)))
    expected = {
        row: [(n, n) for n in range(min(len(one), len(two)))]
        for row, (one, two) in enumerate(corpus(world))
    }
    assert found == expected


class TestWrongPartners:
    def test_the_aligner_sees_the_wrong_partners_words(
        self, new_world: Worlds, spy: list[WordPair]
    ) -> None:
        world = new_world(corpus={"links": True, "longest": 9})
        world.run(world.stage("links", **SHUFFLED))
        pairs = corpus(world)
        partners = wrong_partners(np.arange(len(pairs))).tolist()
        expected = [(pairs[n][0], pairs[partner][1]) for n, partner in enumerate(partners)]
        shown = [(list(pair.source.words), list(pair.target.words)) for pair in spy]
        assert sorted(shown) == sorted(expected)
        for pair in spy:  # the corpus' links, as far as the wrong partner has such words
            own = next(target for source, target in pairs if source == list(pair.source.words))
            known = min(len(pair.source.words), len(own), len(pair.target.words))
            assert pair.given == tuple((n, n) for n in range(known))

    def test_given_links_fit_the_wrong_partner(self, new_world: Worlds) -> None:
        world = new_world(corpus={"links": True, "longest": 9})
        found = linked(world.run(world.stage("links", **SHUFFLED)))
        pairs = corpus(world)
        partners = wrong_partners(np.arange(len(pairs))).tolist()
        for row, links in found.items():
            assert all(second < len(pairs[partners[row]][1]) for _, second in links)
        assert found != linked(world.run(world.stage("links", **LINKED)))

    def test_states_are_those_of_the_wrong_partner(
        self, new_world: Worlds, toy_model: Path
    ) -> None:
        world = new_world()
        found = linked(world.run(world.stage("links", **SHUFFLED, align={"aligner": "argmax"})))
        slow, aligner, pairs = Slow(toy_model), Argmax(Argmax.Config()), corpus(world)
        partners = wrong_partners(np.arange(len(pairs))).tolist()
        for row, links in found.items():
            sides = [
                WordSide(
                    tuple(words),
                    slow.tokens(" ".join(words), 0.5),  # two thirds of two layers
                    torch.tensor(slow.owners(" ".join(words))),
                )
                for words in (pairs[row][0], pairs[partners[row]][1])
            ]
            assert links == sorted(aligner.align(WordPair(sides[0], sides[1], {})))


def test_a_sample_is_linked_and_no_more(new_world: Worlds) -> None:
    world = new_world(corpus={"count": 60, "links": True})
    stage = world.stage("links", **LINKED, align={"max_pairs": 9})
    found = linked(world.run(stage))
    assert len(found) == 9
    whole = linked(world.run(world.stage("links", **LINKED)))
    assert found == {row: whole[row] for row in found}


def test_a_dictionary_is_lower_cased_and_has_all_translations(
    new_world: Worlds, spy: list[WordPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    def entries(self: Any, languages: Any, split: str) -> Any:
        assert ([one.code for one in languages], split) == (["aaa", "bbb"], "train")
        for source, target in (("Da", "KA"), ("da", "ko"), ("du", "Ti")):
            yield ParallelText(source, target)

    monkeypatch.setattr(Lexicon, "read", entries)
    monkeypatch.setattr(Given, "needs", frozenset({"dictionary"}))
    world = new_world()
    world.run(world.stage("links", **LINKED))
    assert spy[0].dictionary == {"da": {"ka", "ko"}, "du": {"ti"}}


def test_an_aligner_without_a_depth_sees_the_last_layer(
    new_world: Worlds, spy: list[WordPair], toy_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Given, "needs", frozenset({"states"}))
    world = new_world(corpus={"count": 8})
    world.run(world.stage("links", **LINKED))
    slow = Slow(toy_model)
    assert len(spy) == 8
    for pair in spy:
        expected = slow.tokens(" ".join(pair.source.words))
        torch.testing.assert_close(pair.source.states, expected, atol=1e-5, rtol=0)
        assert pair.source.owner.tolist() == slow.owners(" ".join(pair.source.words))


class TestMistakes:
    @pytest.mark.parametrize(
        "links", [[(0, 99)], [(-1, 0)], [(99, 0)]], ids=["target", "negative", "source"]
    )
    def test_a_link_to_a_word_that_is_not_there(
        self, links: list[tuple[int, int]], world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Given, "align", lambda self, pair: links)
        with pytest.raises(ValueError, match=r"Given linked .* in a pair of \[\d+, \d+\] words"):
            world.run(world.stage("links", **LINKED))

    def test_links_are_sorted_and_each_is_kept_once(
        self, new_world: Worlds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = new_world(corpus={"shortest": 2})
        monkeypatch.setattr(Given, "align", lambda self, pair: [(1, 0), (0, 1), (1, 0)])
        found = linked(world.run(world.stage("links", **LINKED)))
        assert set(map(tuple, found.values())) == {((0, 1), (1, 0))}

    def test_a_corpus_that_links_words_that_it_has_not(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The right partner's links are not trimmed: that would hide a damaged corpus."""
        read = Bitext.read

        def damaged(self: Any, languages: Any, split: str) -> Any:
            for pair in read(self, languages, split):
                yield replace(pair, links=((0, 50),))

        monkeypatch.setattr(Bitext, "read", damaged)
        with pytest.raises(ValueError, match="the corpus links 0-50, but the target has"):
            world.run(world.stage("links", **LINKED))


def test_links_do_not_depend_on_the_alignment_seed_or_on_who_asks(world: World) -> None:
    keys = {
        tuple(
            world.plan(**LINKED, align_seed=(seed,), phase=(phase,), mode=("full",)).of_kind(
                "links"
            )
        )
        for seed in (1, 2)
        for phase in ("before", "during")
    }
    assert len(keys) == 1
