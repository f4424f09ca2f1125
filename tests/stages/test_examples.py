"""Tokenised examples: what a row holds, splitting, limits, labels, the cache."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from xbench.api import TaggedSentence
from xbench.data.tokenizer import Tokenizer
from xbench.stages.inputs.examples import Examples, load_examples

from ..toys import TAGS, Tagged, Tagging, World, model_folder

Worlds = Callable[..., World]


def loaded(
    world: World, task: str = "tags", split: str = "train", **limits: Any
) -> tuple[Examples, Tokenizer]:
    stage = world.stage("finetune", arm=("none",), task=(task,))
    resources = world.resources()
    tokenizer = resources.tokenizer(stage)
    wanted = {"max_length": 40, "max_items": None, **limits}
    return load_examples(stage, resources, tokenizer, split, wanted), tokenizer


def records(world: World, split: str = "train") -> list[TaggedSentence]:
    language = world.catalogue.languages.get("aaa")
    return list(Tagged(**world.data).read([language], split))


def test_every_word_has_its_first_subword_and_its_label(world: World) -> None:
    examples, tokenizer = loaded(world)
    sentences = records(world)
    assert len(examples) == len(sentences) == 24
    for row, sentence in enumerate(sentences):
        ids = examples.table.row("ids", row).tolist()
        places = examples.table.row("places", row).tolist()
        pieces = tokenizer.encode_words(sentence.words)
        assert ids == [0, *(i for word in pieces for i in word), 2]
        assert [ids[place] for place in places] == [word[0] for word in pieces]
        assert [TAGS[number] for number in examples.labels(row)] == list(sentence.tags)
    assert examples.names() == [sentence.id for sentence in sentences]


def test_a_long_sentence_fills_several_rows_and_loses_no_word(world: World) -> None:
    whole, _ = loaded(world)
    cut, _ = loaded(world, max_length=8)
    assert len(cut) > len(whole)
    assert cut.table.lengths("ids").max() <= 8
    words: dict[int, list[int]] = {}
    for row in range(len(cut)):
        item = int(cut.table.row("item", row)[0])
        assert len(words.setdefault(item, [])) == cut.table.row("first_word", row)[0]
        words[item] += cut.labels(row).tolist()
    assert [words[item] for item in range(24)] == [whole.labels(r).tolist() for r in range(24)]
    assert cut.names() == whole.names()


def test_a_text_has_one_label_and_is_cut(world: World) -> None:
    examples, _ = loaded(world, task="topics", max_length=5)
    assert len(examples) == 24
    assert set(examples.table.lengths("labels")) == {1}
    assert examples.table.lengths("ids").max() == 5
    assert examples.names()[3] == "train-3"


def test_a_batch_points_at_the_labelled_places(world: World) -> None:
    examples, _ = loaded(world)
    rows = [5, 0, 11]
    batch = examples.batch(rows, 1, "cpu")
    seen = 0
    for index, row in enumerate(rows):
        ids = examples.table.row("ids", row).tolist()
        assert batch.ids[index].tolist() == ids + [1] * (batch.ids.shape[1] - len(ids))
        mine = batch.owner == index
        assert batch.places[mine].tolist() == examples.table.row("places", row).tolist()
        assert batch.labels[mine].tolist() == examples.labels(row).tolist()
        seen += int(mine.sum())
    assert seen == len(batch.labels)
    assert batch.labels.dtype == batch.places.dtype == torch.int64


def test_a_limit_takes_a_fixed_sample(new_world: Worlds) -> None:
    world = new_world()
    sample, again = (loaded(w, max_items=6)[0].names() for w in (world, new_world()))
    everything = [sentence.id for sentence in records(world)]
    assert sample == again
    assert sample == [name for name in everything if name in sample]
    assert len(sample) == 6
    assert sample != everything[:6]
    assert loaded(world, max_items=99)[0].names() == everything


def test_no_input_is_longer_than_the_encoder_takes(new_world: Worlds, tmp_path: Any) -> None:
    world = new_world(model_folder(tmp_path / "short", max_positions=9))
    examples, _ = loaded(world, max_length=24)
    assert examples.table.lengths("ids").max() <= 9
    assert sum(len(examples.labels(row)) for row in range(len(examples))) == sum(
        len(sentence.words) for sentence in records(world)
    )


def test_text_is_tokenised_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = loaded(world)

    def never(*args: Any) -> Iterator[Any]:
        raise AssertionError("read again")

    monkeypatch.setattr(Tagged, "read", never)
    again, _ = loaded(world)
    assert again.names() == first.names()
    with pytest.raises(AssertionError, match="read again"):
        loaded(world, max_length=9)


def test_another_version_of_a_task_is_tokenised_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = loaded(world)
    monkeypatch.setattr(Tagging, "version", 2)
    monkeypatch.setattr(
        Tagging, "gold", staticmethod(lambda example: (TAGS[0],) * len(example.words))
    )
    second, _ = loaded(world)
    assert set(first.labels(0)) != {0}
    assert {int(n) for row in range(len(second)) for n in second.labels(row)} == {0}


@pytest.mark.parametrize(
    ("bad", "given", "message"),
    [
        (
            TaggedSentence(("ba",), ("WHAT",), id="x7"),
            None,
            "'x7' has the label 'WHAT', which Tagging",
        ),
        (TaggedSentence(("ba", "bo"), TAGS[:2], id="x7"), TAGS[:1], "has 1 labels for 2 words"),
    ],
)
def test_an_item_without_the_right_labels_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, bad: Any, given: Any, message: str
) -> None:
    good = TaggedSentence(("ba",), TAGS[:1], id="good")
    monkeypatch.setattr(Tagging, "examples", lambda *_: iter([good, bad]))
    if given is not None:
        monkeypatch.setattr(Tagging, "gold", staticmethod(lambda example: given))
    with pytest.raises(ValueError, match=message):
        loaded(world)


def test_blank_texts_are_not_trained_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = TaggedSentence(("ba",), TAGS[:1], id="good")
    blank = [TaggedSentence((), (), id="a"), TaggedSentence((" ",), TAGS[:1], id="b")]
    monkeypatch.setattr(Tagging, "examples", lambda *_: iter([blank[0], good, blank[1]]))
    assert loaded(world)[0].names() == ["good"]


def test_a_level_without_labels_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = world.stage("finetune", arm=("none",))
    resources = world.resources()
    monkeypatch.setattr(Tagging, "level", "retrieval")
    limits = {"max_length": 40, "max_items": None}
    with pytest.raises(ValueError, match="Tagging is of the level 'retrieval'"):
        load_examples(stage, resources, resources.tokenizer(stage), "train", limits)


def test_an_empty_split_is_an_error(new_world: Worlds) -> None:
    with pytest.raises(ValueError, match=r"the train data of .* is empty"):
        loaded(new_world(data={"count": 0}))
