"""Batches of pairs with words and links, whole passes for preparation, and the order of both."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from xbench.nn.pair_views import PairViews
from xbench.plan import Stage
from xbench.stages.align import pair_batches
from xbench.stages.inputs import pairs as module
from xbench.stages.inputs.pairs import Batches, Corpus, PairInput, pair_table, wrong_partners

from ..toys import Bitext, Linked, World
from .slow import Slow

Worlds = Callable[..., World]
LINKED: dict[str, Any] = {"objective": ("linked",), "arm": ("aligned",)}
SHUFFLED = {**LINKED, "arm": ("shuffled",)}


def batches(world: World, **spec: Any) -> Batches:
    """The batches of an alignment, of which the links are computed first."""
    plan = world.plan(**{**LINKED, **spec})
    for key in plan.of_kind("links"):
        world.run(plan.stages[key])
    stage = plan.stages[plan.of_kind("align")[0]]
    resources = world.resources()
    return pair_batches(text_of(stage), stage, resources, resources.encoder(stage).eval())


def text_of(stage: Stage) -> PairInput:
    has_words = stage.spec.links is not None
    return PairInput(stage.spec, stage.places.text, stage.spec.settings, has_words)


def sentences(world: World) -> list[tuple[str, str]]:
    languages = [world.catalogue.languages.get(code) for code in ("aaa", "bbb")]
    found = Bitext(None, **world.corpus).read(languages, "train")
    return [(pair.source, pair.target) for pair in found]


def seen(world: World, made: Batches, step: int = 0) -> list[tuple[str, str]]:
    """The pairs of a step as text, found by their ids."""
    tokenizer = made.tokenizer
    known = {
        tuple(tokenizer.build_single(ids)): text
        for side in (0, 1)
        for text, ids in _encoded(world, made, side)
    }
    batch = made.chunk(step, 0)
    rows = [
        [
            known[tuple(ids[mask].tolist())]
            for ids, mask in zip(v.ids, v.attention_mask, strict=True)
        ]
        for v in (batch.source, batch.target)
    ]
    return list(zip(*rows, strict=True))


def _encoded(world: World, made: Batches, side: int) -> Iterator[tuple[str, list[int]]]:
    texts = [pair[side] for pair in sentences(world)]
    return iter(zip(texts, made.tokenizer.encode_texts(texts), strict=True))


class TestWordsAndLinks:
    def test_the_ids_are_those_of_text_without_words(self, world: World) -> None:
        resources = world.resources()
        tables = []
        for objective in ("linked", "everything:all"):
            stage = world.stage("align", objective=(objective,), align={"max_length": 9})
            tables.append(pair_table(text_of(stage), stage, resources, resources.tokenizer(stage)))
        assert len(tables[0]) == len(tables[1]) == 24
        for row in range(24):
            for side in ("source", "target"):
                one, two = (table.row(side, row).tolist() for table in tables)
                assert one == two
                assert len(one) == len(tables[0].row(f"{side}_owner", row))

    @pytest.mark.parametrize("arm", [LINKED, SHUFFLED], ids=["aligned", "shuffled"])
    def test_words_and_links_agree_with_the_text(
        self, arm: dict[str, Any], new_world: Worlds
    ) -> None:
        """Links of word n to word n; vectors of words are means over their own subwords."""
        world = new_world(corpus={"links": True, "longest": 9})
        made = batches(world, **arm)
        batch, text = made.chunk(0, 0), seen(world, made)
        slow = Slow(world.model)
        expected = []
        for row, pair in enumerate(text):
            partner = dict(sentences(world))[pair[0]]
            count = min(len(side.split()) for side in (*pair, partner))
            expected += [[row, n, n] for n in range(count)]
            for view, sentence in zip((batch.source, batch.target), pair, strict=True):
                words = sentence.split()
                assert view.word_mask[row].tolist() == [
                    n < len(words) for n in range(view.word_mask.shape[1])
                ]
                owners, states = torch.tensor(slow.owners(sentence)), slow.tokens(sentence)
                for n in range(len(words)):
                    mean = states[owners == n].mean(0)
                    found = view.words()[row, n]
                    torch.testing.assert_close(found, mean, atol=1e-5, rtol=0)
        assert batch.links.tolist() == expected
        assert (arm is SHUFFLED) == all(pair not in sentences(world) for pair in text)

    def test_links_of_words_that_were_cut_off_are_dropped(self, new_world: Worlds) -> None:
        world = new_world(corpus={"links": True, "shortest": 6, "longest": 9})
        made = batches(world, align={"max_length": 8})
        slow = Slow(world.model)
        expected, every = [], 0
        for row, (source, target) in enumerate(seen_by_prefix(world, made)):
            known = [set(slow.owners(side, 8)) for side in (source, target)]
            words = min(len(source.split()), len(target.split()))
            every += words
            expected += [[row, n, n] for n in range(words) if all(n in side for side in known)]
        assert made.chunk(0, 0).links.tolist() == expected
        assert 0 < len(expected) < every

    def test_a_batch_without_any_link(self, world: World) -> None:
        """The corpus links nothing: the objective's term counts nothing, and adds nothing."""
        batch = batches(world).chunk(0, 0)
        assert batch.links.shape == (0, 3)
        term = Linked().terms(batch)["links"]
        assert (term.count, term.mean.item()) == (0, 0.0)

    def test_chunks_have_the_links_of_their_rows(self, new_world: Worlds) -> None:
        world = new_world(corpus={"links": True})
        whole = batches(world).chunk(0, 0).links.tolist()
        parts = batches(world, align={"accumulate": 3})
        assert parts.chunks == 3
        found = [
            [int(row) + 2 * index, int(first), int(second)]
            for index in range(3)
            for row, first, second in parts.chunk(0, index).links
        ]
        assert found == whole

    @pytest.mark.parametrize("accumulate", [1, 3])
    def test_an_objective_that_reads_them_is_trained(
        self, accumulate: int, new_world: Worlds
    ) -> None:
        world = new_world(corpus={"links": True, "count": 6})  # the same batch in each step
        plan = world.plan(**LINKED, align={"accumulate": accumulate, "learning_rate": 1e-2})
        links, align = (plan.stages[plan.of_kind(kind)[0]] for kind in ("links", "align"))
        world.run(links)
        world.run(align)
        curve = world.store.result("align", align.key)["curve"]
        assert curve[-1]["links"] < 0.8 * curve[0]["links"]

    def test_without_asking_for_them_there_are_none(self, world: World) -> None:
        stage = world.stage("align", objective=("everything:all",))
        resources = world.resources()
        made = pair_batches(text_of(stage), stage, resources, resources.encoder(stage))
        for ask in (lambda b: b.links, lambda b: b.source.words(), lambda b: b.target.word_mask):
            with pytest.raises(ValueError, match=r"needs = \{'pairs', 'links'\}"):
                ask(made.chunk(0, 0))
        with pytest.raises(ValueError, match="--phase during"):
            _ = made.chunk(0, 0).task


def seen_by_prefix(world: World, made: Batches) -> list[tuple[str, str]]:
    """As :func:`seen`, of pairs whose sentences all fill their 8 tokens, two of them special."""
    known = {tuple(ids[:6]): text for text, ids in _encoded(world, made, 0)}
    partners = dict(sentences(world))
    sources = [known[tuple(ids.tolist()[1:-1])] for ids in made.chunk(0, 0).source.ids]
    return [(source, partners[source]) for source in sources]


class TestOrder:
    def test_a_pass_to_prepare_has_every_pair_once_and_an_order_of_its_own(
        self, new_world: Worlds
    ) -> None:
        made = batches(new_world(corpus={"count": 27}))  # four batches of six, and three pairs
        corpus = made.corpus
        assert len(list(made.prepared())) == corpus.per_epoch == 4

        def sources(order: str) -> list[bytes]:
            every = [pair for step in range(4) for pair in corpus.batch(step, order)]
            return [pair.source.tobytes() for pair in every]

        assert len(set(sources("prepare"))) == 24
        assert sources("prepare") != sources("pairs")
        assert sources("prepare") == sources("prepare")

    def test_looking_ahead_does_not_disturb_the_order_of_training(self, world: World) -> None:
        made = batches(world)
        first = made.corpus.batch(1)
        made.corpus.batch(2, "prepare")
        again = made.corpus.batch(1)
        for one, two in zip(first, again, strict=True):
            assert np.array_equal(one.source, two.source)

    def test_an_order_is_drawn_once_a_pass(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, drawn = batches(world), []
        draw = module.permutation

        def counted(size: int, *stream: Any) -> Any:
            drawn.append(stream)
            return draw(size, *stream)

        monkeypatch.setattr(module, "permutation", counted)
        assert len(list(made.prepared())) == 4
        for step in range(6):
            made.corpus.batch(step)
        assert drawn == [(42, "prepare", 0), (42, "pairs", 0), (42, "pairs", 1)]

    def test_the_sample_is_the_same_for_every_seed(self, new_world: Worlds) -> None:
        world = new_world(corpus={"count": 60})
        made = [batches(world, align={"max_pairs": 20}, align_seed=(seed,)) for seed in (1, 2)]
        one, two = (each.corpus for each in made)
        assert one.rows.tolist() == two.rows.tolist()
        assert len(one.rows) == 20
        assert [len(p.source) for p in one.batch(0)] != [len(p.source) for p in two.batch(0)]

    @pytest.mark.parametrize("size", [2, 3, 50])
    def test_no_sentence_keeps_its_own_partner(self, size: int) -> None:
        rows = np.arange(100, 100 + size)
        partners = wrong_partners(rows)
        assert sorted(partners) == sorted(rows)
        assert not (partners == rows).any()

    def test_too_little_text_is_an_error_that_says_what_to_do(self, new_world: Worlds) -> None:
        world = new_world(corpus={"count": 5})
        stage = world.stage("align", objective=("everything:all",))
        resources = world.resources()
        table = pair_table(text_of(stage), stage, resources, resources.tokenizer(stage))
        with pytest.raises(ValueError, match="5 usable pairs, fewer than one batch of 6; lower"):
            Corpus(table, text_of(stage), seed=1)


def test_an_objective_prepares_without_gradients_before_the_first_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []

    def prepare(self: Linked, found: Iterator[PairViews]) -> None:
        for batch in (next(found), next(found)):
            looked.append((batch.source.ids.tolist(), batch.source.pooled().requires_grad))

    monkeypatch.setattr(Linked, "prepare", prepare)
    made = batches(world)
    world.run(world.stage("align", **LINKED))
    expected = [batch.source.ids.tolist() for batch in made.prepared()][:2]
    assert looked == [(ids, False) for ids in expected]
