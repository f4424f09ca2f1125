"""What a word aligner must keep to."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from xbench.api.aligner import Aligner, WordPair, WordSide
from xbench.testing.contract import expect
from xbench.testing.definition import Configured, Documented
from xbench.testing.toys.clones import WORDS, Pair, Sentence, clone_pairs

NEEDS = ("states", "dictionary")
WIDTH = 24
EMPTY = Sentence((), 0)


class AlignerContract(Documented, Configured):
    """``class TestMine(AlignerContract): aligner = "mine"``.

    The pairs are clean: translations have nearly the same states, the dictionary has every word,
    and the corpus states the right links. An aligner to which the places of words matter says so
    in its class: ``uses_places = True``.
    """

    kind = "aligner"
    group = "aligners"
    aligner: ClassVar[str | type[Aligner]]

    def test_declaration(self) -> None:
        """It says what it looks at, and at which depth where it looks at states."""
        needs = self.loaded.needs
        expect(
            set(needs) <= set(NEEDS) and not isinstance(needs, str),
            f"needs is {needs!r}",
            f"make it a frozenset of some of {', '.join(NEEDS)}",
        )
        for variant, config in self.configurations().items():
            depth = getattr(config, "depth", None)
            expect(
                "states" not in needs or (isinstance(depth, int | float) and 0 <= depth <= 1),
                f"it needs states, and Config.depth is {depth!r} (configuration {variant!r})",
                "add a setting depth from 0 (embeddings) to 1 (last layer)",
            )

    def test_links(self) -> None:
        """Links are pairs of words that are there, ascending, each once, and the same each time."""
        for variant, config in self.configurations().items():
            aligner = self.loaded(config)
            for pair in clone_pairs(12, seed=5, shortest=1):
                links = [tuple(link) for link in aligner.align(_word_pair(pair))]
                of = f"for {len(pair.source.words)} words each (configuration {variant!r})"
                expect(
                    all(
                        len(link) == 2 and min(link) >= 0 and max(link) < len(pair.source.words)
                        for link in links
                    ),
                    f"the links are {links} {of}",
                    "count words from 0, and map subwords to their words with owner",
                )
                expect(
                    links == sorted(set(links)),
                    f"the links are {links} {of}",
                    "return sorted(set(links))",
                )
                expect(
                    links == [tuple(link) for link in aligner.align(_word_pair(pair))],
                    f"the links of the same pair are others the second time {of}",
                    "keep nothing from pair to pair, and draw nothing without a fixed seed",
                )

    def test_empty(self) -> None:
        """A sentence without words has no links."""
        sentence = Sentence((1, 2), 1)
        for variant, config in self.configurations().items():
            for source, target in ((EMPTY, sentence), (sentence, EMPTY), (EMPTY, EMPTY)):
                links = self.loaded(config).align(_word_pair(Pair(source, target, ())))
                expect(
                    not list(links),
                    f"an empty sentence has the links {links} (configuration {variant!r})",
                    "return [] where a side has no words",
                )

    def test_finds_translations(self) -> None:
        """On clean pairs it finds most links, and most of what it finds is right."""
        for variant, config in self.configurations().items():
            found, right, wanted = 0, 0, 0
            for pair in clone_pairs(20, seed=6):
                links = {tuple(link) for link in self.loaded(config).align(_word_pair(pair))}
                found += len(links)
                right += len(links & set(pair.links))
                wanted += len(pair.links)
            expect(
                2 * right > wanted and 2 * right > found,
                f"{found} links were found, of which {right} are right, and there are {wanted} "
                f"(configuration {variant!r})",
                "a link is (word of the source, word of the target)",
            )

    def test_order_of_words(self) -> None:
        """Where the target's words stand elsewhere, its links go with them."""
        for variant, config in self.configurations().items():
            if getattr(self.loaded, "uses_places", False):
                continue
            for pair in clone_pairs(12, seed=7):
                moved = _reversed(pair)
                last = len(pair.target.words) - 1
                links = self.loaded(config).align(_word_pair(pair))
                expected = sorted((i, last - j) for i, j in links)
                got = [tuple(link) for link in self.loaded(config).align(_word_pair(moved))]
                expect(
                    got == expected,
                    f"with the target's words in reverse the links are {got}, not {expected} "
                    f"(configuration {variant!r})",
                    "look words up by what they are, not by their place; if places are to count, "
                    "write uses_places = True into the class",
                )


def _word_pair(pair: Pair) -> WordPair:
    dictionary = {
        one: {other}
        for one, other in zip(
            *(Sentence(tuple(range(WORDS)), n).spelt for n in (0, 1)), strict=True
        )
    }
    return WordPair(_side(pair.source), _side(pair.target), dictionary, pair.links)


def _side(sentence: Sentence) -> WordSide:
    """A word's subwords lie near its meaning, which is the same in both languages."""
    owner = torch.from_numpy(sentence.owners)
    states_nD = torch.zeros(len(owner), WIDTH)
    if len(owner):
        words: Tensor = torch.tensor(sentence.words)[owner]
        states_nD = _random(0)[words] + 0.05 * _random(1 + sentence.language)[words]
        # the second subword of a word is like the first, but not the same
        states_nD = states_nD + 0.02 * torch.arange(len(owner))[:, None].remainder(2)
    return WordSide(sentence.spelt, states_nD, owner)


def _random(seed: int) -> Tensor:
    return torch.randn(WORDS, WIDTH, generator=torch.Generator().manual_seed(seed))


def _reversed(pair: Pair) -> Pair:
    last = len(pair.target.words) - 1
    target = Sentence(pair.target.words[::-1], pair.target.language)
    links: Sequence[Any] = sorted((i, last - j) for i, j in pair.links)
    return Pair(pair.source, target, tuple(links))
